import { setTimeout as delay } from 'node:timers/promises';
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
/** The least time between the starts of two rounds, milliseconds: the events of a busy tenant form larger batches. */
const INTERVAL_MS = 20;

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

/**
 * The commit does not wait for the disk: after a crash of PostgreSQL, a batch that was lost is in the outbox again, and
 * each later commit that does wait, such as that of an outcome, has also written this one.
 */
function tryLockOutbox(tenantId: string): Statement {
  return {
    name: 'outbox_lock',
    text: `select pg_try_advisory_xact_lock(hashtextextended('outbox/' || $1::text, 11)) as locked,
                  set_config('synchronous_commit', 'off', true)`,
    values: [tenantId],
  };
}

/**
 * The first events of a tenant's outbox. It is limited before the join: else PostgreSQL may read the event of each row,
 * sort them, and drop all but the first.
 */
export function nextEvents(tenantId: string, limit: number): Statement {
  return {
    name: 'outbox_next',
    text: `select o.position, o.event_id, o.endpoint_id as recipient_id, e.type as event_type, e.aggregate_id, e.sequence,
                  e.created_at, e.traceparent
             from (select position, event_id, endpoint_id from outbox
                    where tenant_id = $1 order by position limit $2) o
             left join events e on e.tenant_id = $1 and e.id = o.event_id
            order by o.position`,
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
  /** The tenants that may have events. */
  private waiting = new Set<string>();
  /** Whether other tenants may have events, too. */
  private isSearchRequested = false;
  private draining?: Promise<void>;
  /** The start of the last round (`performance.now()`). */
  private begunAt = -Infinity;
  private stopped = false;
  /** The running batches, by tenant. */
  private readonly batches = new Map<string, Promise<boolean>>();

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
    for (const tenantId of tenantIds) if (this.shards.owns(tenantId)) this.wait(tenantId);
    this.drain();
  }

  /** Searches the outbox, and empties it in the background. */
  requestAll(): void {
    this.isSearchRequested = true;
    this.drain();
  }

  start(): void {
    this.stopped = false;
  }

  /** Takes no more events, and resolves when the current batches have ended. */
  async stop(): Promise<void> {
    this.stopped = true;
    await this.draining;
  }

  /** Resolves when no batch runs for a tenant that this process no longer owns. */
  async release(): Promise<void> {
    const left = [...this.batches].filter(([tenantId]) => !this.shards.owns(tenantId));
    await Promise.allSettled(left.map(([, batch]) => batch));
  }

  private get mayBegin(): boolean {
    return !this.stopped && this.shards.isConfirmed;
  }

  /** A tenant that does not fit is found by the next search. */
  private wait(tenantId: string): void {
    if (this.waiting.size < MAX_TENANTS) this.waiting.add(tenantId);
  }

  private drain(): void {
    if (!this.mayBegin) return;
    this.draining ??= this.relayWaiting().finally(() => {
      this.draining = undefined;
      if (this.isSearchRequested || this.waiting.size > 0) this.drain();
    });
  }

  /** One batch of each waiting tenant, a few at once; events that are announced meanwhile form the next batches. */
  private async relayWaiting(): Promise<void> {
    const pause = this.begunAt + INTERVAL_MS - performance.now();
    if (pause >= 1) await delay(pause);
    this.begunAt = performance.now();
    if (this.isSearchRequested) await this.search();
    const tenants = this.waiting.values();
    this.waiting = new Set();
    const worker = async (): Promise<void> => {
      for (const tenantId of tenants) {
        if (!this.mayBegin) return;
        if (!this.shards.owns(tenantId)) continue;
        // An error of one tenant must not affect others.
        const batch = this.relayBatch(tenantId).catch((error: Error) => this.logFailure(error));
        this.batches.set(tenantId, batch);
        const hasMore = await batch.finally(() => this.batches.delete(tenantId));
        if (hasMore) this.wait(tenantId);
      }
    };
    await Promise.all(Array.from({ length: TENANTS_AT_ONCE }, worker));
  }

  private async search(): Promise<void> {
    this.isSearchRequested = false;
    try {
      for (const tenantId of await this.backlog.tenantsWithEvents(this.shards, MAX_TENANTS)) this.wait(tenantId);
    } catch (error) {
      this.logFailure(error as Error);
    }
  }

  private logFailure(error: Error): boolean {
    this.logger.warn({ reason: error.message }, 'the outbox could not be read');
    return false;
  }

  /** One batch of a tenant, so that a tenant with a million events delays others by one batch at most. */
  private async relayBatch(tenantId: string): Promise<boolean> {
    const startTime = new Date().getTime();
    const { events, hasMore } = await relayEvents(this.database, tenantId, this.consumers.all());
    if (this.tracing.isOn) for (const event of events) this.trace(tenantId, event, startTime);
    return hasMore;
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
