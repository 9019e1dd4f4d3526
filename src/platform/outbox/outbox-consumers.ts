import { Injectable } from '@nestjs/common';
import type { Row, Statement } from '../database/sql/statement';
import type { TenantTransaction } from '../database/tenant-database';

/** An event as a consumer gets it. */
export interface OutboxEvent {
  id: string;
  type: string;
  aggregateId?: string;
  sequence?: number;
  /** JSON text. */
  data: string;
  createdAt: Date;
}

/** Reacts to events in the transaction that takes them out of the outbox. */
export interface OutboxConsumer {
  /** Unique, for errors. */
  readonly name: string;
  /** The types it wants: exact names, a prefix and `.*`, or `*`. */
  readonly types: readonly string[];
  /**
   * Writes the effect of these events, in their order. An error undoes the whole batch of the tenant, for every consumer,
   * and the batch is tried again: a consumer throws for a failure that passes, never for the content of an event.
   */
  consume(tx: TenantTransaction, events: readonly OutboxEvent[]): Promise<void>;
}

/** The consumers of the outbox beside the one that takes the rows out; features register theirs in the worker. */
@Injectable()
export class OutboxConsumers {
  private readonly consumers = new Map<string, OutboxConsumer>();

  add(consumer: OutboxConsumer): void {
    if (this.consumers.has(consumer.name)) throw new Error(`two consumers of the outbox are named ${consumer.name}`);
    this.consumers.set(consumer.name, consumer);
  }

  get isEmpty(): boolean {
    return this.consumers.size === 0;
  }

  /** Hands each consumer the events of its types, one consumer after the other. */
  async consume(tx: TenantTransaction, taken: readonly { event_id: string; event_type: string }[]): Promise<void> {
    const wanted = taken.filter(({ event_type: type }) => this.all().some((consumer) => wants(consumer, type)));
    if (wanted.length === 0) return;
    const rows = await tx.query<EventRow>(findEvents(tx.tenantId, [...new Set(wanted.map((row) => row.event_id))]));
    const events = rows.map(toEvent);
    for (const consumer of this.all()) {
      const mine = events.filter(({ type }) => wants(consumer, type));
      if (mine.length > 0) await consumer.consume(tx, mine);
    }
  }

  private all(): OutboxConsumer[] {
    return [...this.consumers.values()];
  }
}

function wants({ types }: OutboxConsumer, type: string): boolean {
  return types.some((pattern) => {
    if (pattern.endsWith('.*')) return type.startsWith(pattern.slice(0, -1));
    return pattern === '*' || pattern === type;
  });
}

interface EventRow extends Row {
  id: string;
  type: string;
  aggregate_id: string | null;
  sequence: number | null;
  data: string;
  created_at: Date;
}

function toEvent(row: EventRow): OutboxEvent {
  return {
    id: row.id,
    type: row.type,
    aggregateId: row.aggregate_id ?? undefined,
    sequence: row.sequence ?? undefined,
    data: row.data,
    createdAt: row.created_at,
  };
}

/** In the order of the outbox. */
function findEvents(tenantId: string, ids: readonly string[]): Statement {
  return {
    name: 'outbox_events',
    text: `select e.id, e.type, e.aggregate_id, e.sequence, e.data::text as data, e.created_at
             from unnest($2::uuid[]) with ordinality as taken (id, position)
             join events e on e.tenant_id = $1 and e.id = taken.id order by taken.position`,
    values: [tenantId, ids],
  };
}
