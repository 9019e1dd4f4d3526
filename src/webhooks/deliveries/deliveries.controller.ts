import { Controller, Get, Headers, Param, Post, Query, Req, Res } from '@nestjs/common';
import { ApiAcceptedResponse, ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Caller, CurrentCaller, Requires } from '../../platform/http/requests/caller';
import { sendJson, sendPage, sendResource } from '../../platform/http/responses/json-response';
import { ApiProblem, ApiSection } from '../../platform/http/openapi/declarations';
import { ResourceId } from '../../platform/http/requests/resource-id.pipe';
import { NoBody } from '../../platform/http/requests/validation.pipe';
import { DeliveryDetailView, DeliveryPage, DeliveryView, ListDeliveriesDto } from './deliveries.dto';
import { EndpointsService } from '../endpoints/endpoints.service';
import { DeliveriesService } from './deliveries.service';

const DeliveryId = () => Param('id', new ResourceId('Delivery'));

@ApiSection(
  'Webhook deliveries',
  'What was sent, is being sent, or was not, and why: one delivery per event and endpoint.',
)
@Controller('webhooks/deliveries')
export class DeliveriesController {
  constructor(
    private readonly deliveries: DeliveriesService,
    private readonly endpoints: EndpointsService,
  ) {}

  @Get()
  @Requires('webhooks:read')
  @ApiOperation({
    operationId: 'listDeliveries',
    summary: 'List deliveries',
    description: 'Newest event first, those that were not sent (`filtered`, `disabled`) included.',
  })
  @ApiOkResponse({ type: DeliveryPage, description: 'A page.' })
  async list(
    @CurrentCaller() caller: Caller,
    @Query() query: ListDeliveriesDto,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    sendPage(request, reply, await this.deliveries.list(caller, query));
  }

  @Get(':id')
  @Requires('webhooks:read')
  @ApiOperation({
    operationId: 'getDelivery',
    summary: 'Get a delivery',
    description: 'With its attempts and what was answered to them.',
  })
  @ApiOkResponse({ type: DeliveryDetailView, description: 'The delivery.' })
  async find(
    @CurrentCaller() caller: Caller,
    @DeliveryId() id: string,
    @Headers('if-none-match') ifNoneMatch: string | undefined,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    sendResource(reply, await this.deliveries.find(caller, id), ifNoneMatch);
  }

  @Post(':id/retry')
  @Requires('webhooks:write')
  @ApiOperation({
    operationId: 'retryDelivery',
    summary: 'Send a delivery again, now',
    description:
      'Out of turn, past an open circuit breaker, and with the whole schedule of retries before it; one that has ' +
      'succeeded too. Its `webhook-id` stays, and attempts are added to those that were made.',
  })
  @ApiAcceptedResponse({ type: DeliveryView, description: 'The delivery, due now.' })
  @ApiProblem('conflict', "The endpoint '0198c0de-7a11-7000-8000-000000000031' is disabled: enable it first.")
  async retry(
    @CurrentCaller() caller: Caller,
    @DeliveryId() id: string,
    @NoBody() _none: undefined,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const { endpoint_id } = JSON.parse((await this.deliveries.find(caller, id)).json) as { endpoint_id: string };
    await this.endpoints.assertMayUse(caller, endpoint_id, 'or-gone');
    sendJson(reply, await this.deliveries.retry(caller, id), 202);
  }
}
