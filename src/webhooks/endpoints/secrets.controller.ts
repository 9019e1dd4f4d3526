import { Body, Controller, Get, HttpCode, Post } from '@nestjs/common';
import { ApiBody, ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { type Caller, CurrentCaller, Requires } from '../../platform/http/requests/caller';
import { Idempotent, type IdempotentRequest } from '../../platform/http/responses/idempotency';
import type { Json, WriteResult } from '../../platform/http/responses/results';
import { ApiSection } from '../../platform/http/openapi/declarations';
import { OptionalBody } from '../../platform/http/requests/validation.pipe';
import { EndpointId, ENDPOINTS_SECTION } from './endpoints.controller';
import * as requests from './secrets.requests';
import * as views from './secrets.views';
import type { RotateSecretDto } from './secrets.requests';
import { SecretsService } from './secrets.service';

@ApiSection(...ENDPOINTS_SECTION)
@Controller('webhooks')
export class SecretsController {
  constructor(private readonly secrets: SecretsService) {}

  @Get('endpoints/:id/secret')
  @Requires('webhooks:write')
  @ApiOperation({
    operationId: 'getEndpointSecret',
    summary: "Get an endpoint's secret",
    description: 'The key for verifying signatures, and the whole URL and headers, which are masked elsewhere.',
  })
  @ApiOkResponse({ type: views.EndpointSecretsView, description: 'The secret.' })
  find(@CurrentCaller() caller: Caller, @EndpointId() id: string): Promise<views.EndpointSecretsView> {
    return this.secrets.find(caller, id);
  }

  @Post('endpoints/:id/rotate-secret')
  @Requires('webhooks:write')
  @HttpCode(200)
  @ApiOperation({
    operationId: 'rotateEndpointSecret',
    summary: "Rotate an endpoint's secret",
    description:
      'The new secret signs immediately, and the old one also signs until the overlap ends, so that you may ' +
      'change at any time in between.',
  })
  @ApiBody({ type: requests.RotateSecretDto, required: false })
  @ApiOkResponse({ type: views.EndpointSecretView, description: 'The new secret.' })
  rotate(
    @CurrentCaller() caller: Caller,
    @EndpointId() id: string,
    @Body(new OptionalBody(requests.RotateSecretDto)) body: RotateSecretDto,
    @Idempotent() request: IdempotentRequest | undefined,
  ): Promise<WriteResult> {
    return this.secrets.rotate(caller, id, body.overlap_seconds, request);
  }

  @Get('jwks')
  @Requires('webhooks:read')
  @ApiOperation({
    operationId: 'getWebhookKeys',
    summary: 'Get your public keys',
    description: 'Those of your endpoints that are signed with `v1a`, as a JSON Web Key Set.',
  })
  @ApiOkResponse({ type: views.JwksView, description: 'The keys.' })
  jwks(@CurrentCaller() caller: Caller): Promise<Json> {
    return this.secrets.jwks(caller);
  }
}
