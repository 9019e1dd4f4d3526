import { Body, Controller, Get, HttpCode, Post, Query } from '@nestjs/common';
import { ApiAcceptedResponse, ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { type Caller, CurrentCaller, Requires } from '../../platform/http/requests/caller';
import { Idempotent, type IdempotentRequest } from '../../platform/http/responses/idempotency';
import type { WriteResult } from '../../platform/http/responses/results';
import { ApiProblem, ApiSection } from '../../platform/http/openapi/declarations';
import { NoBody } from '../../platform/http/requests/validation.pipe';
import { DeliveryView } from './deliveries.views';
import { EndpointsService } from '../endpoints/endpoints.service';
import { EndpointStats } from './endpoint-stats';
import { EndpointId, ENDPOINTS_SECTION } from '../endpoints/endpoints.controller';
import { Recovery } from './recovery';
import { TestDeliveries } from './test-deliveries';
import { RecoverDto, StatsDto } from './endpoint-deliveries.requests';
import { RecoveredView, StatsView } from './endpoint-deliveries.views';

/** Deliveries of one endpoint: test, recovery, statistics. */
@ApiSection(...ENDPOINTS_SECTION)
@Controller('webhooks/endpoints/:id')
export class EndpointDeliveriesController {
  constructor(
    private readonly tests: TestDeliveries,
    private readonly recovery: Recovery,
    private readonly stats: EndpointStats,
    private readonly endpoints: EndpointsService,
  ) {}

  @Post('test')
  @Requires('webhooks:write')
  @HttpCode(202)
  @ApiOperation({
    operationId: 'testEndpoint',
    summary: 'Send a test message',
    description: 'A `webhook.test` to this endpoint alone, with any subscriptions, also while it is disabled.',
  })
  @ApiAcceptedResponse({ type: DeliveryView, description: 'The delivery; its id gives access to its outcome.' })
  test(
    @CurrentCaller() caller: Caller,
    @EndpointId() id: string,
    @NoBody() _none: undefined,
    @Idempotent() request: IdempotentRequest | undefined,
  ): Promise<WriteResult> {
    return this.tests.send(caller, id, request);
  }

  @Post('recover')
  @Requires('webhooks:write')
  @HttpCode(202)
  @ApiOperation({
    operationId: 'recoverEndpoint',
    summary: 'Send missed deliveries again',
    description:
      'Every `failed` or `disabled` delivery of that time is due again, with a new schedule and its unchanged ' +
      '`webhook-id`. Repeating the request is harmless: due deliveries are no longer failed or disabled.',
  })
  @ApiAcceptedResponse({ type: RecoveredView, description: 'The number.' })
  @ApiProblem('conflict', "The endpoint '0198c0de-7a11-7000-8000-000000000031' is disabled: enable it first.")
  async recover(
    @CurrentCaller() caller: Caller,
    @EndpointId() id: string,
    @Body() body: RecoverDto,
  ): Promise<RecoveredView> {
    await this.endpoints.assertMayUse(caller, id);
    return { count: await this.recovery.recover(caller, id, body) };
  }

  @Get('stats')
  @Requires('webhooks:read')
  @ApiOperation({
    operationId: 'getEndpointStats',
    summary: 'Get the statistics of an endpoint',
    description:
      'Attempts by the hour (UTC) in which they began: this hour and the 23 before it, or the requested period.',
  })
  @ApiOkResponse({ type: StatsView, description: 'The hours.' })
  async find(@CurrentCaller() caller: Caller, @EndpointId() id: string, @Query() query: StatsDto): Promise<StatsView> {
    return { data: await this.stats.find(caller, id, query) };
  }
}
