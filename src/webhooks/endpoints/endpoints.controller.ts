import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Query } from '@nestjs/common';
import { ApiBody, ApiCreatedResponse, ApiNoContentResponse, ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { type Caller, CurrentCaller, Requires } from '../../platform/http/requests/caller';
import { Conditional, IfMatch, type Precondition } from '../../platform/http/responses/conditional-requests';
import { Idempotent, type IdempotentRequest } from '../../platform/http/responses/idempotency';
import type { JsonPage, Representation, WriteResult } from '../../platform/http/responses/results';
import { ApiProblem, ApiSection } from '../../platform/http/openapi/declarations';
import { PageDto } from '../../platform/http/requests/page.dto';
import { ResourceId } from '../../platform/http/requests/resource-id.pipe';
import { CreateEndpointPipe, UpdateEndpointPipe } from './endpoint.pipe';
import { EndpointCreatedView } from './secrets.views';
import * as requests from './endpoints.requests';
import * as views from './endpoints.views';
import type { CreateEndpointDto, UpdateEndpointDto } from './endpoints.requests';
import { EndpointsService } from './endpoints.service';

export const EndpointId = () => Param('id', new ResourceId('Endpoint'));
export const ENDPOINTS_SECTION = [
  'Webhook endpoints',
  'Where you receive events, signed after Standard Webhooks: their settings, secrets and health.',
] as const;

@ApiSection(...ENDPOINTS_SECTION)
@Controller('webhooks/endpoints')
export class EndpointsController {
  constructor(private readonly endpoints: EndpointsService) {}

  @Post()
  @Requires('webhooks:write')
  @ApiOperation({
    operationId: 'createEndpoint',
    summary: 'Create an endpoint',
    description:
      'Only this response and the route of the secret show the secret. A tenant has at most 1,000 endpoints.',
  })
  @ApiBody({ type: requests.CreateEndpointDto })
  @ApiCreatedResponse({ type: EndpointCreatedView, description: 'The endpoint, with its secret.' })
  @ApiProblem('business_rule_violation', 'A tenant has at most 1000 endpoints.')
  create(
    @CurrentCaller() caller: Caller,
    @Body(CreateEndpointPipe) body: CreateEndpointDto,
    @Idempotent() request: IdempotentRequest | undefined,
  ): Promise<WriteResult> {
    return this.endpoints.create(caller, body, request);
  }

  @Get()
  @Requires('webhooks:read')
  @ApiOperation({ operationId: 'listEndpoints', summary: 'List endpoints', description: 'Newest first.' })
  @ApiOkResponse({ type: views.EndpointPage, description: 'A page.' })
  list(@CurrentCaller() caller: Caller, @Query() query: PageDto): Promise<JsonPage> {
    return this.endpoints.list(caller, query);
  }

  @Get(':id')
  @Requires('webhooks:read')
  @Conditional()
  @ApiOperation({ operationId: 'getEndpoint', summary: 'Get an endpoint', description: 'Without its secret.' })
  @ApiOkResponse({ type: views.EndpointView, description: 'The endpoint.' })
  find(@CurrentCaller() caller: Caller, @EndpointId() id: string): Promise<Representation> {
    return this.endpoints.find(caller, id);
  }

  @Patch(':id')
  @Requires('webhooks:write')
  @ApiOperation({
    operationId: 'updateEndpoint',
    summary: 'Change an endpoint',
    description:
      'With the same checks as at its creation. Without a difference the response is 200 with the same version. ' +
      'Disabling changes waiting deliveries to `disabled`; enabling does not send them: `POST …/recover` does.',
  })
  @ApiBody({ type: requests.UpdateEndpointDto })
  @ApiOkResponse({ type: views.EndpointView, description: 'The changed endpoint.' })
  update(
    @CurrentCaller() caller: Caller,
    @EndpointId() id: string,
    @Body(UpdateEndpointPipe) body: UpdateEndpointDto,
    @IfMatch() ifMatch: Precondition | undefined,
  ): Promise<Representation> {
    return this.endpoints.update(caller, id, body, ifMatch);
  }

  @Delete(':id')
  @Requires('webhooks:write')
  @HttpCode(204)
  @ApiOperation({
    operationId: 'deleteEndpoint',
    summary: 'Remove an endpoint',
    description: 'Its waiting deliveries become `cancelled`; the log of sent ones stays.',
  })
  @ApiNoContentResponse({ description: 'The endpoint is removed.' })
  remove(
    @CurrentCaller() caller: Caller,
    @EndpointId() id: string,
    @IfMatch() ifMatch: Precondition | undefined,
  ): Promise<void> {
    return this.endpoints.remove(caller, id, ifMatch);
  }
}
