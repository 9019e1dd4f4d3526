/**
 * From a committed change to its consumers. Nouns: an *event* is written with its change; its row in the *outbox* says
 * that it has not left yet; the *relay* (in the worker) takes rows out of the outbox in the transaction in which the
 * *consumers* write the effects of the events.
 *
 * One consumer, the *event sink*, takes the rows out by its own statement: with it alone a batch is one round trip. A
 * feature adds a further consumer in the worker: `consumers.add({ name, types: ['order.*'], consume: (tx, events) => … })`
 * with {@link OutboxConsumers} in a constructor. `consume` runs in the transaction that takes the events out, for a batch
 * of one tenant in the order of the outbox, and writes by `tx`. After an error the batch stays in the outbox for all
 * consumers and is tried again, so each event has its effect once.
 *
 * What must always hold: no event without its change, no change without its event, and an event leaves the outbox only
 * together with the effects of all its consumers.
 */
import { Module } from '@nestjs/common';
import { RelayDatabase } from '../database/roles/relay-database';
import { EventCatalogue } from './event-catalogue';
import { Notifier } from './notifier';
import { Outbox } from './outbox';
import { OutboxBacklog } from './outbox-backlog';
import { OutboxConsumers } from './outbox-consumers';

@Module({
  providers: [EventCatalogue, Notifier, Outbox, OutboxBacklog, OutboxConsumers, RelayDatabase],
  exports: [EventCatalogue, Notifier, Outbox, OutboxBacklog, OutboxConsumers],
})
export class OutboxModule {}
