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

/**
 * Takes the first events of a tenant out of the outbox, together with their effects, or nothing. One relay at a time
 * handles a tenant: the transaction of a dead relay must end first, since events that overtake it would change the
 * order.
 * @returns the events
 */
export async function relayEvents(
  database: TenantDatabase,
  tenantId: string,
  consumers: readonly OutboxConsumer[],
  limit: number = EVENTS_AT_ONCE,
): Promise<OutboxEvent[]> {
  return database.transaction({ tenantId }, async (tx) => {
    // In this order: the read after the lock sees the state that the previous relay has left.
    const [[lock], next, batches] = await Promise.all([
      tx.query<{ locked: boolean }>(tryLockOutbox(tenantId)),
      tx.query<OutboxEvent>(nextEvents(tenantId, limit)),
      Promise.all(consumers.map((consumer) => consumer.open(tx))),
    ]);
    if (!lock?.locked || next.length === 0) return [];
    const taken = next.slice(0, Math.max(1, Math.min(...batches.map((batch) => batch.limit))));
    // An event that expired in the outbox has no effects.
    const events = taken.filter((event) => event.event_type !== null);
    tx.defer(removeFromOutbox(tenantId, taken));
    for (const batch of batches) batch.take(events);
    tx.afterCommit(() => batches.forEach((batch) => batch.committed()));
    return taken;
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
  private draining?: Promise<void>;
  private isRequested = false;
  private stopped = false;
  /** The running batches, by tenant. */
  private readonly batches = new Map<string, Promise<number>>();

  constructor(
    private readonly shards: OwnedShards,
    private readonly backlog: OutboxBacklog,
    private readonly database: TenantDatabase,
    private readonly consumers: OutboxConsumers,
    @Inject(LOGGER) private readonly logger: Logger,
    @Inject(TRACING) private readonly tracing: Tracing,
  ) {}

  /** Empties the outbox in the background. Calls during a run cause one more run. */
  requestRun(): void {
    if (this.stopped) return;
    if (this.draining) {
      this.isRequested = true;
      return;
    }
    this.draining = this.drain()
      .catch((error: Error) => void this.logFailure(error))
      .finally(() => {
        this.draining = undefined;
        if (this.isRequested) {
          this.isRequested = false;
          this.requestRun();
        }
      });
  }

  start(): void {
    this.stopped = false;
  }

  /** Takes no more rows, and resolves when the current batch has ended. */
  async stop(): Promise<void> {
    this.stopped = true;
    this.isRequested = false;
    await this.draining;
  }

  /** Resolves when no batch runs for a tenant that this process no longer owns. */
  async release(): Promise<void> {
    const left = [...this.batches].filter(([tenantId]) => !this.shards.owns(tenantId));
    await Promise.allSettled(left.map(([, batch]) => batch));
  }

  private async drain(): Promise<void> {
    while (!this.stopped && this.shards.isConfirmed) {
      const tenants = await this.backlog.tenantsWithEvents(this.shards, MAX_TENANTS);
      if (tenants.length === 0) return;
      let taken = 0;
      const next = tenants.values();
      const worker = async (): Promise<void> => {
        for (const tenantId of next) {
          if (this.stopped || !this.shards.isConfirmed) return;
          if (!this.shards.owns(tenantId)) continue;
          // An error of one tenant must not affect others, and no worker may continue after the drain was cancelled.
          const batch = this.drainTenant(tenantId).catch((error: Error) => this.logFailure(error));
          this.batches.set(tenantId, batch);
          const count = await batch.finally(() => this.batches.delete(tenantId));
          taken += count;
        }
      };
      await Promise.all(Array.from({ length: Math.min(TENANTS_AT_ONCE, tenants.length) }, worker));
      // Another relay handles this tenant; an immediate retry would be a busy wait.
      if (taken === 0) return;
    }
  }

  private logFailure(error: Error): number {
    this.logger.warn({ reason: error.message }, 'the outbox could not be read');
    return 0;
  }

  /** One batch of a tenant, so that a tenant with a million events delays others by one batch at most. */
  private async drainTenant(tenantId: string): Promise<number> {
    const startTime = new Date().getTime();
    const events = await relayEvents(this.database, tenantId, this.consumers.all());
    if (this.tracing.isOn) for (const event of events) this.trace(tenantId, event, startTime);
    return events.length;
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
