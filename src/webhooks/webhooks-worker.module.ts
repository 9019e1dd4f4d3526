/**
 * The sending half of webhooks, in the worker. Nouns: a *delivery* is one event for one endpoint; the *relay* takes
 * events out of the outbox and *fan-out* makes deliveries of them; the *dispatcher* decides which are sent next and
 * puts them into the queue; the *processor* sends one and has its *outcome* written.
 *
 * The flow: outbox → relay → fan-out (delivery rows) → dispatcher → BullMQ → processor → webhook client → outcomes →
 * dispatcher. Each worker relays and dispatches for the tenants of its shards, and sends for all of them.
 *
 * Invariants: PostgreSQL holds the truth and the queue holds ids only; an event leaves the outbox in the
 * transaction that makes its deliveries; a job is done when its outcome is committed; after a recorded success no
 * delivery is sent again, except on a manual request; all state in memory can be lost and read again.
 */
import { type DynamicModule, Module } from '@nestjs/common';
import { Config } from '../platform/config/config';
import { DispatcherDatabase } from '../platform/database/roles/dispatcher-database';
import { TenantDatabase } from '../platform/database/tenant-database';
import { OutboxModule } from '../platform/outbox/outbox.module';
import { OutboxConsumers, Relay } from '../platform/outbox/relay';
import { Subscriptions } from '../platform/outbox/subscriptions';
import { TenantUsage } from '../platform/usage/tenant-usage';
import { UsageModule } from '../platform/usage/usage.module';
import { chooseQueueBackend } from '../platform/queue/queue';
import { OwnedShards } from '../platform/shards/owned-shards';
import { BacklogMetrics } from './dispatch/backlog-metrics';
import { DeliveriesProcessor } from './sending/deliveries.processor';
import { DeliveryMetrics } from './deliveries/delivery-metrics';
import { DeliveryLoader } from './sending/delivery-loader';
import { DeliverySigner } from './sending/delivery-signer';
import { DeliverySender } from './sending/delivery-sender';
import { Dispatchers } from './dispatch/dispatchers';
import { ConsentRecorder } from './endpoints/endpoint-consent';
import { EndpointPartsCipher } from './endpoints/endpoint-parts';
import { PartsBackfill } from './endpoints/parts-backfill';
import { EndpointDisabling } from './endpoints/endpoint-disabling';
import { listSubscribers, type Subscriber } from './dispatch/fan-out/fan-out.queries';
import { isSubscribed } from './event-types/event-type-names';
import { FanOut } from './dispatch/fan-out/fan-out';
import { WebhooksLeader } from './dispatch/leader';
import { ShardCount } from './dispatch/shards/shard-count';
import { Outcomes } from './sending/outcomes';
import { AttemptEnds } from './notifications/attempt-ended';
import { DispatchRequests } from './notifications/dispatch-request';
import { AuditPlatformModule } from '../platform/audit/audit.module';
import { LeaderTasksModule } from '../platform/leader-election/leader-tasks';
import { MailPlatformModule } from '../platform/mail/mail.module';
import { SecretBoxModule } from '../platform/crypto/secret-box.module';
import { webhookAmounts } from './webhook-amounts';
import './webhooks.permissions';

@Module({})
export class WebhooksWorkerModule {
  constructor(
    subscriptions: Subscriptions,
    database: TenantDatabase,
    consumers: OutboxConsumers,
    fanOut: FanOut,
    usage: TenantUsage,
    config: Config,
  ) {
    usage.define(...webhookAmounts(config));
    consumers.add(fanOut);
    subscriptions.register(async (scope, types) => {
      const endpoints = await database.query<Subscriber>(scope, listSubscribers(scope.tenantId));
      const wanted = endpoints.filter(({ enabled }) => enabled);
      return new Set(types.filter((type) => wanted.some((endpoint) => isSubscribed(endpoint.event_types, type))));
    });
  }

  static forRoot(config: Config): DynamicModule {
    chooseQueueBackend(config);
    return {
      module: WebhooksWorkerModule,
      imports: [AuditPlatformModule, LeaderTasksModule, MailPlatformModule, OutboxModule, SecretBoxModule, UsageModule],
      providers: [
        AttemptEnds,
        BacklogMetrics,
        ConsentRecorder,
        DeliveriesProcessor,
        DeliveryMetrics,
        DeliveryLoader,
        DeliverySender,
        DeliverySigner,
        DispatcherDatabase,
        Dispatchers,
        DispatchRequests,
        EndpointDisabling,
        EndpointPartsCipher,
        FanOut,
        Outcomes,
        PartsBackfill,
        { provide: OwnedShards, useValue: new OwnedShards(config.WEBHOOK_SHARDS) },
        Relay,
        ShardCount,
        WebhooksLeader,
      ],
    };
  }
}
