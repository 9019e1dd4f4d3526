import { Body, Controller, Delete, Get, Header, HttpCode, Param, Patch, Post, Query } from '@nestjs/common';
import { ApiBody, ApiCreatedResponse, ApiNoContentResponse, ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { ApiProblem, ApiSection } from '../platform/http/openapi/declarations';
import { type Caller, CurrentCaller, NoApiKeys, Requires, StepUp } from '../platform/http/requests/caller';
import { PageDto } from '../platform/http/requests/page.dto';
import { ArrivedAt } from '../platform/http/requests/request-details';
import { ResourceId } from '../platform/http/requests/resource-id.pipe';
import { OptionalBody } from '../platform/http/requests/validation.pipe';
import { Conditional, IfMatch, type Precondition } from '../platform/http/responses/conditional-requests';
import { Idempotent, type IdempotentRequest } from '../platform/http/responses/idempotency';
import type { JsonPage, Representation, WriteResult } from '../platform/http/responses/results';
import { CreateApiKeyDto, RotateApiKeyDto, UpdateApiKeyDto } from './api-keys.requests';
import { ApiKeyCreatedView, ApiKeyPage, ApiKeyView } from './api-keys.views';
import { ApiKeysService } from './api-keys.service';
import { KEY_PATTERN } from './key-format';

const KeyId = () => Param('id', new ResourceId('Key'));

@ApiSection(
  'API keys',
  'Credentials of programs: Bearer tokens like access tokens, on every route that their scopes allow, but never on ' +
    `/auth/* (other than GET /auth/me), /members, /invitations, /roles, /api-keys and /sso/*. Scanners find them by \`${KEY_PATTERN}\`.`,
)
@Controller('api-keys')
@NoApiKeys()
export class ApiKeysController {
  constructor(private readonly keys: ApiKeysService) {}

  @Post()
  @Requires('signed-in')
  @StepUp()
  @Header('Cache-Control', 'no-store')
  @ApiOperation({
    operationId: 'createApiKey',
    summary: 'Create an API key',
    description:
      'The key is shown only here; only its hash is stored. Requires the permission `api_keys:manage` for a ' +
      'key of the tenant, and every scope of the key.',
  })
  @ApiCreatedResponse({ type: ApiKeyCreatedView, description: 'The key with its text.' })
  @ApiProblem('forbidden', 'You cannot grant what you do not hold: orders:write.')
  @ApiProblem('business_rule_violation', 'A tenant has at most 1000 API keys.')
  create(
    @CurrentCaller() caller: Caller,
    @Body() body: CreateApiKeyDto,
    @Idempotent() request: IdempotentRequest | undefined,
  ): Promise<WriteResult> {
    return this.keys.create(caller, body, request);
  }

  @Get()
  @Requires('signed-in')
  @ApiOperation({
    operationId: 'listApiKeys',
    summary: 'List API keys',
    description:
      "Newest first: one's own, and with `api_keys:manage` all. An expired key is listed, and can be given a later " +
      'end, for 90 days; then it is deleted.',
  })
  @ApiOkResponse({ type: ApiKeyPage, description: 'A page.' })
  list(@CurrentCaller() caller: Caller, @Query() query: PageDto): Promise<JsonPage> {
    return this.keys.list(caller, query);
  }

  @Get(':id')
  @Requires('signed-in')
  @Conditional()
  @ApiOperation({ operationId: 'getApiKey', summary: 'Get an API key', description: 'Without its text.' })
  @ApiOkResponse({ type: ApiKeyView, description: 'The key.' })
  find(@CurrentCaller() caller: Caller, @KeyId() id: string): Promise<Representation> {
    return this.keys.find(caller, id);
  }

  @Patch(':id')
  @Requires('signed-in')
  @StepUp()
  @ApiOperation({
    operationId: 'updateApiKey',
    summary: 'Change an API key',
    description:
      'Requires every old and new scope of the key. Only its person can change a personal key. Requires the ' +
      'permission `api_keys:manage` for a key of the tenant. Reaches every process within 2 seconds.',
  })
  @ApiOkResponse({ type: ApiKeyView, description: 'The changed key.' })
  @ApiProblem('forbidden', 'A personal key is changed by its person alone.')
  update(
    @CurrentCaller() caller: Caller,
    @KeyId() id: string,
    @Body() body: UpdateApiKeyDto,
    @IfMatch() ifMatch: Precondition | undefined,
  ): Promise<Representation> {
    return this.keys.update(caller, id, body, ifMatch);
  }

  @Delete(':id')
  @Requires('signed-in')
  @HttpCode(204)
  @ApiOperation({
    operationId: 'revokeApiKey',
    summary: 'Revoke an API key',
    description:
      'It stops working within 2 seconds, in every process. Requires the permission `api_keys:manage`, except ' +
      'for a personal key of the caller.',
  })
  @ApiNoContentResponse({ description: 'The key is deleted.' })
  remove(
    @CurrentCaller() caller: Caller,
    @KeyId() id: string,
    @IfMatch() ifMatch: Precondition | undefined,
  ): Promise<void> {
    return this.keys.remove(caller, id, ifMatch);
  }

  @Post(':id/rotate')
  @Requires('signed-in')
  @StepUp()
  @HttpCode(200)
  @Header('Cache-Control', 'no-store')
  @ApiOperation({
    operationId: 'rotateApiKey',
    summary: 'Give an API key a new text',
    description:
      'Earlier texts stay valid for `overlap_seconds`; 0 for a leaked key. Requires every scope of the key. ' +
      'Requires the permission `api_keys:manage` for a key of the tenant. One of several concurrent rotations ' +
      'succeeds.',
  })
  @ApiBody({ type: RotateApiKeyDto, required: false })
  @ApiOkResponse({ type: ApiKeyCreatedView, description: 'The key, with its new text.' })
  @ApiProblem('forbidden', 'You cannot grant what you do not hold: orders:write.')
  @ApiProblem('conflict', 'The key was changed at the same time; look at it before you rotate it again.')
  rotate(
    @CurrentCaller() caller: Caller,
    @KeyId() id: string,
    @Body(new OptionalBody(RotateApiKeyDto)) body: object,
    @ArrivedAt() arrivedAt: Date,
    @Idempotent() request: IdempotentRequest | undefined,
  ): Promise<WriteResult> {
    return this.keys.rotate(caller, id, body as RotateApiKeyDto, arrivedAt, request);
  }
}
