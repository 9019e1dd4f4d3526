/**
 * From a committed change to whoever wants to know. Nouns: an *event* is written with its change; its row in the
 * *outbox* says that it has not left yet; the *relay* (in the worker) takes rows from there and hands the events on in
 * a transaction that removes them. What must always hold: no event without its change, no change without its event, and
 * an event leaves the outbox only together with what it became.
 */
import { Module } from '@nestjs/common';
import { EventCatalogue } from './event-catalogue';
import { Outbox } from './outbox';
import { Notifier } from './notifier';
import { Subscriptions } from './subscriptions';

@Module({
  providers: [EventCatalogue, Outbox, Notifier, Subscriptions],
  exports: [EventCatalogue, Outbox, Notifier, Subscriptions],
})
export class OutboxModule {}
