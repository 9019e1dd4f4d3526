/**
 * From a committed change to its consumers. Nouns: an *event* is written with its change; its row in the *outbox* marks
 * it as not relayed yet; the *relay* (in the worker) takes rows out of the outbox in the transaction in which the
 * *consumers* write the effects of the events.
 *
 * A feature adds a consumer in the worker: `consumers.add(consumer)` with {@link OutboxConsumers} in the constructor of
 * its module. `open(tx)` reads the consumer's data, in the round trip that reads the next events of one tenant;
 * `take(events)` defers its writes, in the order of the outbox; `committed()` follows the commit. After an error the
 * batch stays in the outbox for all consumers and is retried, so each event has its effect once: a consumer throws for
 * a temporary failure, never for the content of an event.
 *
 * Invariants: no event without its change, no change without its event, and an event leaves the outbox only
 * together with the effects of all its consumers.
 */
import { Module } from '@nestjs/common';
import { RelayDatabase } from '../database/roles/relay-database';
import { EventCatalogue } from './event-catalogue';
import { Notifier } from './notifier';
import { Outbox } from './outbox';
import { OutboxBacklog } from './outbox-backlog';
import { OutboxConsumers } from './relay';
import { UsageModule } from '../usage/usage.module';
import { Subscriptions } from './subscriptions';

@Module({
  imports: [UsageModule],
  providers: [EventCatalogue, Notifier, Outbox, OutboxBacklog, OutboxConsumers, RelayDatabase, Subscriptions],
  exports: [EventCatalogue, Notifier, Outbox, OutboxBacklog, OutboxConsumers, Subscriptions],
})
export class OutboxModule {}
