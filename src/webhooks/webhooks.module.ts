/**
 * Webhooks as tenants see and steer them, in the API process; sending is the worker's (`webhooks-worker.module.ts`).
 * Nouns: an *endpoint* is where a tenant receives events, with a *secret* that signs; an *event* is what happened, ours
 * or the tenant's own, of a *type* that may be registered with a schema; a *delivery* is one event for one endpoint, with
 * its *attempts*.
 *
 * The flow: a change to an endpoint is written, what waits for it is ended in the same transaction as far as that is
 * bounded, and the dispatcher is told once it has committed, to do the rest. What a person asks for (test, retry,
 * recover) makes rows due; sending them is the worker's.
 *
 * What must always hold: a URL that is not allowed is never stored; secrets are sealed wherever they are stored, also in
 * answers kept for idempotency, and a private key is never shown; an event's own id is unique in its tenant, and its data
 * fits the schema that its type has when it is written; the deliveries of an endpoint that is gone or disabled are not sent, those that a person asked for while it is disabled
 * aside.
 */
import { Module } from '@nestjs/common';
import { HttpPlatformModule } from '../platform/http/http.module';
import { EventTypes } from '../platform/outbox/event-types';
import { OutboxModule } from '../platform/outbox/outbox.module';
import { CreateEndpointBody, EmitEventBody, EndpointRules, OwnEventTypeName, UpdateEndpointBody } from './bodies';
import { DeliveriesController } from './deliveries.controller';
import { DeliveriesService } from './deliveries.service';
import { EndpointSecrets } from './endpoint-secrets';
import { EndpointStats } from './endpoint-stats';
import { EndpointsController } from './endpoints.controller';
import { EndpointsService } from './endpoints.service';
import { WEBHOOK_EVENT_TYPES } from './event-types';
import { EventTypesController } from './event-types.controller';
import { EventTypesService } from './event-types.service';
import { EventsController } from './events.controller';
import { EventsService } from './events.service';
import { Recovery } from './recovery';
import { RegisteredSchemas } from './registered-schemas';
import { SecretsController } from './secrets.controller';
import { SecretsService } from './secrets.service';
import { TestDeliveries } from './test-deliveries';
import { TrafficController } from './traffic.controller';
import { DispatchSignal } from './wake';
import './webhooks.permissions';

@Module({
  imports: [HttpPlatformModule, OutboxModule],
  controllers: [
    EndpointsController,
    SecretsController,
    TrafficController,
    EventTypesController,
    EventsController,
    DeliveriesController,
  ],
  providers: [
    CreateEndpointBody,
    DeliveriesService,
    DispatchSignal,
    EmitEventBody,
    EndpointRules,
    EndpointSecrets,
    EndpointStats,
    EndpointsService,
    EventTypesService,
    EventsService,
    OwnEventTypeName,
    Recovery,
    RegisteredSchemas,
    SecretsService,
    TestDeliveries,
    UpdateEndpointBody,
  ],
})
export class WebhooksModule {
  constructor(types: EventTypes) {
    types.add(...WEBHOOK_EVENT_TYPES);
  }
}
