/**
 * The API half of webhooks; the worker sends (`webhooks-worker.module.ts`). Nouns: an *endpoint* is a tenant's
 * receiver, with a *secret* that signs; an *event* is a change, ours or the tenant's own, of a *type* that may be
 * registered with a schema; a *delivery* is one event for one endpoint, with its *attempts*.
 *
 * The flow: a change to an endpoint is written, its waiting deliveries are ended in the same transaction up to a bound,
 * and after the commit the dispatcher is notified to do the rest. Manual requests (test, retry, recover) make rows due;
 * the worker sends them.
 *
 * Invariants: a URL that is not allowed is never stored; secrets are stored encrypted, also in responses
 * kept for idempotency, and a private key is never shown; an event's own id is unique in its tenant, and its data
 * satisfies the schema of its type at the time of writing; deliveries of a removed or disabled endpoint are not sent,
 * except manual requests to a disabled one.
 */
import { Module } from '@nestjs/common';
import { TenantDatabase } from '../platform/database/tenant-database';
import { UsageMeters } from '../platform/usage/usage-meters';
import { Config } from '../platform/config/config';
import { TenantUsage } from '../platform/usage/tenant-usage';
import { webhookAmounts } from './webhook-amounts';
import { webhookMeters } from './webhook-meters';
import { DatabaseModule } from '../platform/database/database.module';
import { HttpPlatformModule } from '../platform/http/http.module';
import { TenantContents } from '../platform/hooks/tenant-contents';
import { countEndpoints } from './endpoints/endpoints.queries';
import { EventCatalogue } from '../platform/outbox/event-catalogue';
import { OutboxModule } from '../platform/outbox/outbox.module';
import { CreateEndpointPipe, EndpointRules, UpdateEndpointPipe } from './endpoints/endpoint.pipe';
import { EmitEventPipe } from './events/emit-event.pipe';
import { OwnEventTypeNamePipe } from './event-types/event-type-name.pipe';
import { DeliveriesController } from './deliveries/deliveries.controller';
import { DeliveriesService } from './deliveries/deliveries.service';
import { EndpointConsent } from './endpoints/endpoint-consent';
import { EndpointPartsCipher } from './endpoints/endpoint-parts';
import { EndpointQuota } from './endpoints/endpoint-quota';
import { EndpointSecrets } from './endpoints/endpoint-secrets';
import { EndpointStats } from './deliveries/endpoint-stats';
import { EndpointsController } from './endpoints/endpoints.controller';
import { EndpointsService } from './endpoints/endpoints.service';
import { WEBHOOK_EVENT_TYPES } from './endpoints/endpoint-event-types';
import { EventAccess } from './event-types/event-access';
import { EventTypesController } from './event-types/event-types.controller';
import { EventTypesService } from './event-types/event-types.service';
import { EventsController } from './events/events.controller';
import { CheckBudget } from './events/check-budget';
import { EventsService } from './events/events.service';
import { Recovery } from './deliveries/recovery';
import { SchemaCache } from './event-types/schema-cache';
import { SecretsController } from './endpoints/secrets.controller';
import { SecretsService } from './endpoints/secrets.service';
import { TestDeliveries } from './deliveries/test-deliveries';
import { EndpointDeliveriesController } from './deliveries/endpoint-deliveries.controller';
import { DispatchRequests } from './notifications/dispatch-request';
import './webhooks.permissions';
import { WebhookEndpoint } from './endpoints/webhook-endpoint.entity';
import { AuditPlatformModule } from '../platform/audit/audit.module';
import { HooksModule } from '../platform/hooks/hooks.module';
import { SecretBoxModule } from '../platform/crypto/secret-box.module';

@Module({
  imports: [
    AuditPlatformModule,
    DatabaseModule.forFeature([WebhookEndpoint]),
    HooksModule,
    HttpPlatformModule,
    OutboxModule,
    SecretBoxModule,
  ],
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
    EndpointConsent,
    EndpointPartsCipher,
    EndpointQuota,
    EndpointRules,
    EndpointSecrets,
    EndpointStats,
    EndpointsService,
    EventAccess,
    EventTypesService,
    CheckBudget,
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
  constructor(
    types: EventCatalogue,
    contents: TenantContents,
    meters: UsageMeters,
    usage: TenantUsage,
    database: TenantDatabase,
    config: Config,
  ) {
    types.add(...WEBHOOK_EVENT_TYPES);
    contents.register('endpoints', countEndpoints);
    meters.register(...webhookMeters(database, config));
    usage.define(...webhookAmounts(config));
  }
}
