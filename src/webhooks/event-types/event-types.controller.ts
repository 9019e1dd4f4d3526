import { Body, Controller, Delete, Get, HttpCode, Param, Put } from '@nestjs/common';
import {
  ApiBody,
  ApiCreatedResponse,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
} from '@nestjs/swagger';
import { type Caller, CurrentCaller, Requires } from '../../platform/http/requests/caller';
import { RouteConfig } from '@nestjs/platform-fastify';
import { ApiProblem, ApiSection } from '../../platform/http/openapi/declarations';
import { Conditional, IfMatch, type Precondition } from '../../platform/http/responses/conditional-requests';
import { type Json, type Representation, WithStatus } from '../../platform/http/responses/results';
import { EventTypeNamePipe, OwnEventTypeNamePipe } from './event-type-name.pipe';
import { MAX_TYPE_NAME, TYPE_NAME } from './event-type-names';
import * as requests from './event-types.requests';
import * as views from './event-types.views';
import { EventTypesService } from './event-types.service';

const ApiName = (example: string) =>
  ApiParam({
    name: 'name',
    description: "The type's name.",
    schema: { type: 'string', maxLength: MAX_TYPE_NAME, pattern: TYPE_NAME.source, example },
  });

/** A schema is compiled and its example checked, which costs as much as so many requests. */
const TOKENS_OF_REGISTRATION = 20;

@ApiSection('Webhook events', 'Events: those of the service, and your own.')
@Controller('webhooks/event-types')
export class EventTypesController {
  constructor(private readonly types: EventTypesService) {}

  @Get()
  @Requires('webhooks:read')
  @ApiOperation({
    operationId: 'listEventTypes',
    summary: 'List event types',
    description: 'All types of the service, and your own registered ones.',
  })
  @ApiOkResponse({ type: views.EventTypeList, description: 'The catalogue.' })
  list(@CurrentCaller() caller: Caller): Promise<Json> {
    return this.types.list(caller);
  }

  @Get(':name')
  @Requires('webhooks:read')
  @Conditional()
  @ApiName('order.created')
  @ApiOperation({
    operationId: 'getEventType',
    summary: 'Get an event type',
    description: "One of the service's, or of your own.",
  })
  @ApiOkResponse({ type: views.EventTypeView, description: 'The type.' })
  @ApiProblem('not_found', "Event type 'invoice.paid' not found")
  find(@CurrentCaller() caller: Caller, @Param('name', EventTypeNamePipe) name: string): Promise<Representation> {
    return this.types.find(caller, name);
  }

  @Put(':name')
  @Requires('webhooks:write')
  @ApiName('invoice.paid')
  @ApiOperation({
    operationId: 'registerEventType',
    summary: 'Register an event type',
    description:
      'Registers a type of your own, or replaces it; omitted fields are removed. From then on events of this ' +
      'type are accepted only if their `data` satisfies the schema; earlier events stay. Without a difference ' +
      'the response is 200 without a new version. A tenant has at most 500 types, with 1 MiB of schemas and ' +
      'examples in all.',
  })
  @ApiBody({ type: requests.RegisterEventTypeDto })
  @ApiCreatedResponse({ type: views.EventTypeView, description: 'The type, which is new.' })
  @ApiOkResponse({ type: views.EventTypeView, description: 'The changed type.' })
  @ApiProblem('business_rule_violation', 'A tenant has at most 500 event types of its own.')
  @RouteConfig({ tokens: TOKENS_OF_REGISTRATION })
  async register(
    @CurrentCaller() caller: Caller,
    @Param('name', OwnEventTypeNamePipe) name: string,
    @Body() body: requests.RegisterEventTypeDto,
    @IfMatch() ifMatch: Precondition | undefined,
  ): Promise<Representation | WithStatus> {
    const { created, type } = await this.types.register(caller, name, body, ifMatch);
    return created ? new WithStatus(201, type) : type;
  }

  @Delete(':name')
  @Requires('webhooks:write')
  @HttpCode(204)
  @ApiName('invoice.paid')
  @ApiOperation({
    operationId: 'deleteEventType',
    summary: 'Remove an event type',
    description: 'Events of this type may still be emitted, and are not checked any more.',
  })
  @ApiNoContentResponse({ description: 'The type is removed.' })
  @ApiProblem('not_found', "Event type 'invoice.paid' not found")
  @ApiProblem('business_rule_violation', "Event type 'order.created' is the service's own and cannot be removed.")
  remove(
    @CurrentCaller() caller: Caller,
    @Param('name', EventTypeNamePipe) name: string,
    @IfMatch() ifMatch: Precondition | undefined,
  ): Promise<void> {
    return this.types.remove(caller, name, ifMatch);
  }
}
