import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import type { Row, Statement } from '../database/sql/statement';
import { TenantDatabase, type TenantTransaction } from '../database/tenant-database';
import { LOGGER } from '../observability/logger.module';
import { parseTraceparent } from '../observability/trace-context';
import { OutboxBacklog } from './outbox-backlog';
import { TRACING, type Tracing } from '../observability/tracing';
import { OwnedShards } from '../shards/owned-shards';

const EVENTS_AT_ONCE = 200;
const TENANTS_AT_ONCE = 4;
const MAX_TENANTS = 10_000;
/** The least time between the starts of two batches of a tenant, milliseconds: its next events form one batch. */
const INTERVAL_MS = 10;

/** An event on its way out, in the order in which it left. */
export interface OutboxEvent extends Row {
  position: string;
  event_id: string;
  event_type: string;
  aggregate_id: string | null;
  sequence: number | null;
  created_at: Date;
  /** The trace of the event, if there is one. */
  traceparent: string | null;
  /** The only recipient; null for all. */
  recipient_id: string | null;
}

/** The effects of one batch of events in one consumer. */
export interface OutboxBatch {
  /** How many events it takes at most. */
  readonly limit: number;
  /** Defers the effects of the events to the commit of the transaction. */
  take(events: readonly OutboxEvent[]): void;
  /** Called after the commit; must not throw. */
  committed(): void;
}

/** A consumer of events: it writes its effects in the transaction that takes the events out of the outbox. */
export interface OutboxConsumer {
  /** Reads its data for the next events of the transaction's tenant. */
  open(tx: TenantTransaction): Promise<OutboxBatch>;
}

/** The consumers of the outbox; features register theirs in the worker. */
@Injectable()
export class OutboxConsumers {
  private readonly consumers: OutboxConsumer[] = [];

  add(consumer: OutboxConsumer): void {
    this.consumers.push(consumer);
  }

  all(): readonly OutboxConsumer[] {
    return this.consumers;
  }
}

/** The events that were taken out of the outbox, and whether the tenant has more. */
export interface Relayed {
  events: OutboxEvent[];
  hasMore: boolean;
}

/**
 * Takes the first events of a tenant out of the outbox, together with their effects, or nothing. One relay at a time
 * handles a tenant: the transaction of a dead relay must end first, since events that overtake it would change the
 * order.
 */
export async function relayEvents(
  database: TenantDatabase,
  tenantId: string,
  consumers: readonly OutboxConsumer[],
  limit: number = EVENTS_AT_ONCE,
): Promise<Relayed> {
  return database.transaction({ tenantId }, async (tx) => {
    // In this order: the read after the lock sees the state that the previous relay has left.
    const [[lock], next, batches] = await Promise.all([
      tx.query<{ locked: boolean }>(tryLockOutbox(tenantId)),
      tx.query<OutboxEvent>(nextEvents(tenantId, limit)),
      Promise.all(consumers.map((consumer) => consumer.open(tx))),
    ]);
    if (!lock?.locked || next.length === 0) return { events: [], hasMore: false };
    const taken = next.slice(0, Math.max(1, Math.min(...batches.map((batch) => batch.limit))));
    // An event that expired in the outbox has no effects.
    const events = taken.filter((event) => event.event_type !== null);
    tx.defer(removeFromOutbox(tenantId, taken));
    for (const batch of batches) batch.take(events);
    tx.afterCommit(() => batches.forEach((batch) => batch.committed()));
    return { events: taken, hasMore: next.length === limit || taken.length < next.length };
  });
}

function tryLockOutbox(tenantId: string): Statement {
  return {
    name: 'outbox_lock',
    text: `select pg_try_advisory_xact_lock(hashtextextended('outbox/' || $1::text, 11)) as locked`,
    values: [tenantId],
  };
}

function nextEvents(tenantId: string, limit: number): Statement {
  return {
    name: 'outbox_next',
    text: `select o.position, o.event_id, o.endpoint_id as recipient_id, e.type as event_type, e.aggregate_id, e.sequence, e.created_at,
                  e.traceparent
             from outbox o left join events e on e.tenant_id = $1 and e.id = o.event_id
            where o.tenant_id = $1 order by o.position limit $2`,
    values: [tenantId, limit],
  };
}

function removeFromOutbox(tenantId: string, events: readonly OutboxEvent[]): Statement {
  return {
    name: 'outbox_remove',
    text: 'delete from outbox where tenant_id = $1 and position = any($2::bigint[])',
    values: [tenantId, events.map((event) => event.position)],
  };
}

/**
 * Empties the outbox for the tenants of this process's shards, tenant by tenant, in the order of commits of each
 * aggregate. If two relays handle a tenant for a moment, one of them takes its events, and the effects of an event are
 * keyed by the event.
 */
@Injectable()
export class Relay {
  /** The tenants that may have events, in the order of their turns. */
  private readonly waiting = new Set<string>();
  /** The running batches, by tenant. */
  private readonly batches = new Map<string, Promise<void>>();
  /** The tenants whose last batch began less than an interval ago. */
  private readonly resting = new Set<string>();
  private searching?: Promise<void>;
  private isSearchRequested = false;
  private stopped = false;

  constructor(
    private readonly shards: OwnedShards,
    private readonly backlog: OutboxBacklog,
    private readonly database: TenantDatabase,
    private readonly consumers: OutboxConsumers,
    @Inject(LOGGER) private readonly logger: Logger,
    @Inject(TRACING) private readonly tracing: Tracing,
  ) {}

  /** Empties the outbox of these tenants in the background. */
  request(tenantIds: readonly string[]): void {
    for (const tenantId of tenantIds) {
      if (this.waiting.size < MAX_TENANTS && this.shards.owns(tenantId)) this.waiting.add(tenantId);
    }
    this.beginBatches();
  }

  /** Searches the outbox, and empties it in the background. Calls during a search cause one more. */
  requestAll(): void {
    if (!this.mayBegin) return;
    this.isSearchRequested = true;
    this.searching ??= this.search();
  }

  start(): void {
    this.stopped = false;
  }

  /** Takes no more events, and resolves when the current batches have ended. */
  async stop(): Promise<void> {
    this.stopped = true;
    this.waiting.clear();
    await Promise.all([this.searching, ...this.batches.values()]);
  }

  /** Resolves when no batch runs for a tenant that this process no longer owns. */
  async release(): Promise<void> {
    const left = [...this.batches].filter(([tenantId]) => !this.shards.owns(tenantId));
    await Promise.all(left.map(([, batch]) => batch));
  }

  private async search(): Promise<void> {
    try {
      do {
        this.isSearchRequested = false;
        this.request(await this.backlog.tenantsWithEvents(this.shards, MAX_TENANTS));
      } while (this.isSearchRequested && this.mayBegin);
    } catch (error) {
      this.logFailure(error as Error);
    } finally {
      this.searching = undefined;
    }
  }

  private get mayBegin(): boolean {
    return !this.stopped && this.shards.isConfirmed;
  }

  /** Begins the batches of waiting tenants, a few at once, and at most one of a tenant in an interval. */
  private beginBatches(): void {
    if (!this.mayBegin) return;
    for (const tenantId of this.waiting) {
      if (this.batches.size >= TENANTS_AT_ONCE) return;
      if (this.batches.has(tenantId) || this.resting.has(tenantId)) continue;
      this.waiting.delete(tenantId);
      if (this.shards.owns(tenantId)) this.begin(tenantId);
    }
  }

  /** One batch of a tenant, so that a tenant with a million events delays others by one batch at most. */
  private begin(tenantId: string): void {
    this.resting.add(tenantId);
    setTimeout(() => {
      this.resting.delete(tenantId);
      this.beginBatches();
    }, INTERVAL_MS);
    // An error of one tenant must not affect others.
    const batch = this.relayBatch(tenantId)
      .catch((error: Error) => this.logFailure(error))
      .then(() => {
        this.batches.delete(tenantId);
        this.beginBatches();
      });
    this.batches.set(tenantId, batch);
  }

  private logFailure(error: Error): void {
    this.logger.warn({ reason: error.message }, 'the outbox could not be read');
  }

  private async relayBatch(tenantId: string): Promise<void> {
    const startTime = new Date().getTime();
    const { events, hasMore } = await relayEvents(this.database, tenantId, this.consumers.all());
    if (hasMore && !this.stopped) this.waiting.add(tenantId);
    if (this.tracing.isOn) for (const event of events) this.trace(tenantId, event, startTime);
  }

  /** One span for each traced event: a batch belongs to no single trace. */
  private trace(tenantId: string, event: OutboxEvent, startTime: number): void {
    const parent = parseTraceparent(event.traceparent);
    if (!parent) return;
    const attributes = {
      'app.tenant_id': tenantId,
      'app.event_id': event.event_id,
      'app.event_type': event.event_type,
    };
    this.tracing.start('outbox relay', { kind: 'consumer', parent, startTime, attributes })?.end();
  }
}
