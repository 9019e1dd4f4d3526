import { Injectable } from '@nestjs/common';
import { newTimedId } from '../ids';
import type { TenantTransaction } from '../database/tenant-database';
import { Wakeups } from './wakeups';

/** The channel on which the relay is told that there may be something in the outbox. */
export const OUTBOX_CHANNEL = 'outbox';

/** Something that happened, as it is told to others. */
export interface NewEvent {
  /** Dotted, such as `order.created`. */
  type: string;
  /** JSON text of the resource as the API shows it at this moment: frozen here. */
  data: string;
  /** What it happened to; with `sequence`, 1 for its first event, gives receivers an order. */
  aggregateId?: string;
  sequence?: number;
  /** The caller's own id of the event, unique in the tenant. */
  eventId?: string;
  /** Only this endpoint is told, whatever it subscribes to. */
  endpointId?: string;
}

/** An event that will exist when the transaction commits. */
export interface PublishedEvent {
  id: string;
  createdAt: Date;
}

/**
 * The transactional outbox: an event is written with the change it tells of, or not at all. Nothing is enqueued by hand,
 * before or after a commit; the relay finds what was committed.
 */
@Injectable()
export class Outbox {
  constructor(private readonly wakeups: Wakeups) {}

  /** Writes events in the transaction given; they leave when it commits. */
  publish(tx: TenantTransaction, events: readonly NewEvent[]): PublishedEvent[] {
    const published = events.map(() => newTimedId()).map(({ id, at }) => ({ id, createdAt: at }));
    tx.defer({
      name: 'events_publish',
      text: `with new_events as (
               insert into events (tenant_id, id, type, aggregate_id, sequence, event_id, data, created_at)
               select $1::uuid, e.id, e.type, e.aggregate_id, e.sequence, e.event_id, e.data, e.created_at
                 from unnest($2::uuid[], $3::text[], $4::uuid[], $5::int[], $6::text[], $7::json[], $8::timestamptz[])
                   as e (id, type, aggregate_id, sequence, event_id, data, created_at)
               returning 1
             ), new_outbox as (
               insert into outbox (tenant_id, event_id, endpoint_id)
               select $1::uuid, o.event_id, o.endpoint_id from unnest($2::uuid[], $9::uuid[]) as o (event_id, endpoint_id)
               returning 1
             )
             select 1`,
      values: [
        tx.tenantId,
        published.map((event) => event.id),
        events.map((event) => event.type),
        events.map((event) => event.aggregateId ?? null),
        events.map((event) => event.sequence ?? null),
        events.map((event) => event.eventId ?? null),
        events.map((event) => event.data),
        published.map((event) => event.createdAt.toISOString()),
        events.map((event) => event.endpointId ?? null),
      ],
    });
    tx.afterCommit(() => this.wakeups.wake(OUTBOX_CHANNEL));
    return published;
  }
}
