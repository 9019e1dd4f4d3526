import { Body, Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import { ApiAcceptedResponse, ApiBody, ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { type Caller, CurrentCaller, Requires } from '../../platform/http/requests/caller';
import { Conditional } from '../../platform/http/responses/conditional-requests';
import { Idempotent, type IdempotentRequest } from '../../platform/http/responses/idempotency';
import type { JsonPage, Representation, WriteResult } from '../../platform/http/responses/results';
import { ApiSection } from '../../platform/http/openapi/declarations';
import { ResourceId } from '../../platform/http/requests/resource-id.pipe';
import { EmitEventPipe } from './emit-event.pipe';
import * as requests from './events.requests';
import * as views from './events.views';
import type { EmitEventDto } from './events.requests';
import { EventsService } from './events.service';

/** Data may be a map by keys of the tenant's own. */
const MAX_MEMBERS_OF_DATA = 10_000;
const EventId = () => Param('id', new ResourceId('Event'));

@ApiSection('Webhook events', 'Events: those of the service, and your own.')
@Controller('webhooks/events')
export class EventsController {
  constructor(private readonly events: EventsService) {}

  @Post()
  @Requires('webhooks:write')
  @HttpCode(202)
  @ApiOperation({
    operationId: 'emitEvent',
    summary: 'Emit an event of your own',
    description:
      'Every endpoint that subscribes to its type gets it. A second event with the same `event_id` is the first one.',
  })
  @ApiBody({ type: requests.EmitEventDto })
  @ApiAcceptedResponse({ type: views.EventView, description: 'The event; it is delivered within moments.' })
  @RouteConfig({ maxMembers: MAX_MEMBERS_OF_DATA })
  emit(
    @CurrentCaller() caller: Caller,
    @Body(EmitEventPipe) body: EmitEventDto,
    @Idempotent() request: IdempotentRequest | undefined,
  ): Promise<WriteResult> {
    return this.events.emit(caller, body, request);
  }

  @Get()
  @Requires('webhooks:read')
  @ApiOperation({
    operationId: 'listEvents',
    summary: 'List events',
    description: 'Newest first, ours and yours, each with its first deliveries.',
  })
  @ApiOkResponse({ type: views.EventPage, description: 'A page.' })
  list(@CurrentCaller() caller: Caller, @Query() query: requests.ListEventsDto): Promise<JsonPage> {
    return this.events.list(caller, query);
  }

  @Get(':id')
  @Requires('webhooks:read')
  @Conditional()
  @ApiOperation({
    operationId: 'getEvent',
    summary: 'Get an event',
    description: 'With its first deliveries and their outcomes.',
  })
  @ApiOkResponse({ type: views.EventView, description: 'The event.' })
  find(@CurrentCaller() caller: Caller, @EventId() id: string): Promise<Representation> {
    return this.events.find(caller, id);
  }
}
