import { Controller, Get, Param, HttpCode, Post, Query } from '@nestjs/common';
import { ApiAcceptedResponse, ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { type Caller, CurrentCaller, Requires } from '../../platform/http/requests/caller';
import { ApiProblem, ApiSection } from '../../platform/http/openapi/declarations';
import { ResourceId } from '../../platform/http/requests/resource-id.pipe';
import { NoBody } from '../../platform/http/requests/validation.pipe';
import { Conditional } from '../../platform/http/responses/conditional-requests';
import type { Json, JsonPage, Representation } from '../../platform/http/responses/results';
import { ListDeliveriesDto } from './deliveries.requests';
import { DeliveryDetailView, DeliveryPage, DeliveryView } from './deliveries.views';
import { DeliveriesService } from './deliveries.service';

const DeliveryId = () => Param('id', new ResourceId('Delivery'));

@ApiSection(
  'Webhook deliveries',
  'What was sent, is being sent, or was not, and why: one delivery per event and endpoint.',
)
@Controller('webhooks/deliveries')
export class DeliveriesController {
  constructor(private readonly deliveries: DeliveriesService) {}

  @Get()
  @Requires('webhooks:read')
  @ApiOperation({
    operationId: 'listDeliveries',
    summary: 'List deliveries',
    description: 'Newest event first, including unsent ones (`filtered`, `disabled`).',
  })
  @ApiOkResponse({ type: DeliveryPage, description: 'A page.' })
  list(@CurrentCaller() caller: Caller, @Query() query: ListDeliveriesDto): Promise<JsonPage> {
    return this.deliveries.list(caller, query);
  }

  @Get(':id')
  @Requires('webhooks:read')
  @Conditional()
  @ApiOperation({
    operationId: 'getDelivery',
    summary: 'Get a delivery',
    description: 'With its attempts and their responses.',
  })
  @ApiOkResponse({ type: DeliveryDetailView, description: 'The delivery.' })
  find(@CurrentCaller() caller: Caller, @DeliveryId() id: string): Promise<Representation> {
    return this.deliveries.find(caller, id);
  }

  @Post(':id/retry')
  @Requires('webhooks:write')
  @HttpCode(202)
  @ApiOperation({
    operationId: 'retryDelivery',
    summary: 'Send a delivery again, now',
    description:
      'Before others, also while the circuit breaker is open, and with a new schedule of retries; also after a success. ' +
      'Its `webhook-id` stays, and attempts are appended to the earlier ones.',
  })
  @ApiAcceptedResponse({ type: DeliveryView, description: 'The delivery, due now.' })
  @ApiProblem('conflict', "The endpoint '0198c0de-7a11-7000-8000-000000000031' is disabled: enable it first.")
  retry(@CurrentCaller() caller: Caller, @DeliveryId() id: string, @NoBody() _none: undefined): Promise<Json> {
    return this.deliveries.retry(caller, id);
  }
}
