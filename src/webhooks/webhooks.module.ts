/**
 * Webhooks as tenants see and steer them, in the API process; sending is the worker's (`webhooks-worker.module.ts`).
 * Nouns: an *endpoint* is where a tenant receives events, with a *secret* that signs; an *event* is what happened, ours
 * or the tenant's own, of a *type* that may be registered with a schema; a *delivery* is one event for one endpoint,
 * with its *attempts*.
 *
 * The flow: a change to an endpoint is written, what waits for it is ended in the same transaction as far as that is
 * bounded, and the dispatcher is told once it has committed, to do the rest. What a person asks for (test, retry,
 * recover) makes rows due; sending them is the worker's.
 *
 * What must always hold: a URL that is not allowed is never stored; secrets are sealed wherever they are stored, also
 * in answers kept for idempotency, and a private key is never shown; an event's own id is unique in its tenant, and its
 * data fits the schema that its type has when it is written; the deliveries of an endpoint that is gone or disabled are
 * not sent, those that a person asked for while it is disabled aside.
 */
import { Module } from '@nestjs/common';
import { HttpPlatformModule } from '../platform/http/http.module';
import { EventCatalogue } from '../platform/outbox/event-catalogue';
import { OutboxModule } from '../platform/outbox/outbox.module';
import { CreateEndpointPipe, EndpointRules, UpdateEndpointPipe } from './endpoints/endpoint.pipe';
import { EmitEventPipe } from './events/emit-event.pipe';
import { OwnEventTypeNamePipe } from './event-types/event-type-name.pipe';
import { DeliveriesController } from './deliveries/deliveries.controller';
import { DeliveriesService } from './deliveries/deliveries.service';
import { EndpointPartsCipher } from './endpoints/endpoint-parts';
import { EndpointSecrets } from './endpoints/endpoint-secrets';
import { EndpointStats } from './deliveries/endpoint-stats';
import { EndpointsController } from './endpoints/endpoints.controller';
import { EndpointsService } from './endpoints/endpoints.service';
import { WEBHOOK_EVENT_TYPES } from './endpoints/endpoint-event-types';
import { EventTypesController } from './event-types/event-types.controller';
import { EventTypesService } from './event-types/event-types.service';
import { EventsController } from './events/events.controller';
import { EventsService } from './events/events.service';
import { Recovery } from './deliveries/recovery';
import { SchemaCache } from './event-types/schema-cache';
import { SecretsController } from './endpoints/secrets.controller';
import { SecretsService } from './endpoints/secrets.service';
import { TestDeliveries } from './deliveries/test-deliveries';
import { EndpointDeliveriesController } from './deliveries/endpoint-deliveries.controller';
import { DispatchRequests } from './notifications/dispatch-request';
import './webhooks.permissions';

@Module({
  imports: [HttpPlatformModule, OutboxModule],
  controllers: [
    EndpointsController,
    SecretsController,
    EndpointDeliveriesController,
    EventTypesController,
    EventsController,
    DeliveriesController,
  ],
  providers: [
    CreateEndpointPipe,
    DeliveriesService,
    DispatchRequests,
    EmitEventPipe,
    EndpointPartsCipher,
    EndpointRules,
    EndpointSecrets,
    EndpointStats,
    EndpointsService,
    EventTypesService,
    EventsService,
    OwnEventTypeNamePipe,
    Recovery,
    SchemaCache,
    SecretsService,
    TestDeliveries,
    UpdateEndpointPipe,
  ],
})
export class WebhooksModule {
  constructor(types: EventCatalogue) {
    types.add(...WEBHOOK_EVENT_TYPES);
  }
}
