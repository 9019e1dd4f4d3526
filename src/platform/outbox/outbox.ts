import { Inject, Injectable } from '@nestjs/common';
import { newTimedId } from '../ids/ids';
import { insertRows } from '../database/sql/insert-values';
import type { Statement } from '../database/sql/statement';
import type { TenantTransaction } from '../database/tenant-database';
import type { Transaction } from '../database/transaction';
import { formatTraceparent } from '../observability/trace-context';
import { TRACING, type Tracing } from '../observability/tracing';
import { TenantUsage } from '../usage/tenant-usage';
import { Notifier } from './notifier';

/** The channel that notifies the relay of new rows. */
export const OUTBOX_CHANNEL = 'outbox';

/** A new event, as receivers will see it. */
export interface NewEvent {
  /** Dotted, such as `report.created`. */
  type: string;
  /** JSON text of the resource as the API shows it at this moment: frozen here. */
  data: string;
  /** The resource that changed; with `sequence`, 1 for its first event, it lets receivers sort the events. */
  aggregateId?: string;
  sequence?: number;
  /** The caller's own id of the event, unique in the tenant. */
  eventId?: string;
  /** Sends the event to this recipient only, with any subscriptions. */
  recipientId?: string;
}

/** An event that will exist when the transaction commits. */
export interface PublishedEvent {
  id: string;
  createdAt: Date;
}

/**
 * The transactional outbox: an event is written with the change that it describes, or not at all. No code enqueues an
 * event before or after a commit; the relay finds committed rows.
 */
@Injectable()
export class Outbox {
  constructor(
    private readonly notifier: Notifier,
    @Inject(TRACING) private readonly tracing: Tracing,
    private readonly usage: TenantUsage,
  ) {}

  /** Writes events in the given transaction; they leave when it commits. */
  publish(tx: TenantTransaction, events: readonly NewEvent[]): PublishedEvent[] {
    return this.publishTo(tx, tx.tenantId, events);
  }

  /**
   * The same for one of several tenants, in a transaction of the sign-in role, which changes rows of a person there.
   */
  publishTo(tx: Transaction, tenantId: string, events: readonly NewEvent[]): PublishedEvent[] {
    const published = events.map(() => newTimedId()).map(({ id, at }) => ({ id, createdAt: at }));
    const trace = this.tracing.active();
    tx.insert(...insertEvents(tenantId, events, published, trace ? formatTraceparent(trace) : null));
    tx.afterCommit(() => {
      this.notifier.notify(OUTBOX_CHANNEL, tenantId);
      this.count(tenantId, events);
    });
    return published;
  }

  private count(tenantId: string, events: readonly NewEvent[]): void {
    let length = 0;
    for (const { data } of events) length += data.length;
    this.usage.add(tenantId, 'events', events.length);
    this.usage.add(tenantId, 'event_bytes', length);
  }
}

function insertEvents(
  tenantId: string,
  events: readonly NewEvent[],
  published: readonly PublishedEvent[],
  traceparent: string | null,
): Statement[] {
  const [event, id] = [events[0], published[0]];
  if (event && id && events.length === 1) return insertEvent(tenantId, event, id, traceparent);
  return [
    insertRows({
      name: 'events_insert',
      table: 'events',
      shared: { tenant_id: ['uuid', tenantId], traceparent: ['text', traceparent] },
      columns: {
        id: 'uuid',
        type: 'text',
        aggregate_id: 'uuid',
        sequence: 'integer',
        event_id: 'text',
        data: 'json',
        created_at: 'timestamptz',
      },
      rows: published.map(({ id, createdAt }, index) => {
        const { type, aggregateId, sequence, eventId, data } = events[index] as NewEvent;
        return [id, type, aggregateId ?? null, sequence ?? null, eventId ?? null, data, createdAt];
      }),
    }),
    insertRows({
      name: 'outbox_insert',
      table: 'outbox',
      shared: { tenant_id: ['uuid', tenantId] },
      columns: { event_id: 'uuid', endpoint_id: 'uuid' },
      rows: published.map(({ id }, index) => [id, events[index]?.recipientId ?? null]),
    }),
  ];
}

// The common case, which costs half as much without arrays.
function insertEvent(
  tenantId: string,
  event: NewEvent,
  { id, createdAt }: PublishedEvent,
  traceparent: string | null,
): Statement[] {
  return [
    {
      name: 'event_insert',
      text: `insert into events (tenant_id, id, type, aggregate_id, sequence, event_id, data, created_at, traceparent)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
      values: [
        tenantId,
        id,
        event.type,
        event.aggregateId ?? null,
        event.sequence ?? null,
        event.eventId ?? null,
        event.data,
        createdAt,
        traceparent,
      ],
    },
    {
      name: 'outbox_insert_one',
      text: 'insert into outbox (tenant_id, event_id, endpoint_id) values ($1, $2, $3)',
      values: [tenantId, id, event.recipientId ?? null],
    },
  ];
}
