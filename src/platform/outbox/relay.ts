import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import { DiscoveryDatabase } from '../database/role-databases';
import type { Row } from '../database/statement';
import { TenantDatabase, type TenantTransaction } from '../database/tenant-database';
import { LOGGER } from '../observability/logger.module';
import { parseTraceparent } from '../observability/trace-context';
import { TRACING, type TraceSpan, type Tracing } from '../observability/tracing';

const EVENTS_AT_ONCE = 200;
const TENANTS_AT_ONCE = 4;
const MAX_TENANTS = 10_000;

/** An event as the relay hands it on: without its data, which only the sending needs. */
export interface RelayedEvent extends Row {
  id: string;
  type: string;
  aggregate_id: string | null;
  sequence: number | null;
  created_at: Date;
  /** The trace that it belongs to, where there is one. */
  traceparent: string | null;
  /** The one endpoint it is for, if it is for one alone. */
  endpoint_id: string | null;
}

/** What becomes of events: called in the transaction that takes them out of the outbox. */
export interface EventSink {
  /** Writes what the events become. What it returns is called once that has committed. */
  accept(tx: TenantTransaction, events: readonly RelayedEvent[]): Promise<() => void>;
}

/** Injection token of the {@link EventSink}. */
export const EVENT_SINK = Symbol('EVENT_SINK');

/**
 * Empties the outbox, tenant by tenant, in the order of commits of each aggregate. One leader runs it; should two run
 * for a moment, they skip each other's rows, and what an event becomes is keyed by the event.
 */
@Injectable()
export class Relay {
  private draining?: Promise<void>;
  private again = false;
  private stopped = false;

  constructor(
    private readonly discovery: DiscoveryDatabase,
    private readonly database: TenantDatabase,
    @Inject(EVENT_SINK) private readonly sink: EventSink,
    @Inject(LOGGER) private readonly logger: Logger,
    @Inject(TRACING) private readonly tracing: Tracing,
  ) {}

  /** Says that there may be something; returns at once. Calls that come while it works are one more round. */
  wake(): void {
    if (this.stopped) return;
    if (this.draining) {
      this.again = true;
      return;
    }
    this.draining = this.drain()
      .catch((error: Error) => void this.failed(error))
      .finally(() => {
        this.draining = undefined;
        if (this.again) {
          this.again = false;
          this.wake();
        }
      });
  }

  start(): void {
    this.stopped = false;
  }

  /** Takes no more, and resolves when what was taken is handed on. */
  async stop(): Promise<void> {
    this.stopped = true;
    this.again = false;
    await this.draining;
  }

  private async drain(): Promise<void> {
    while (!this.stopped) {
      const tenants = await this.discovery.tenantsWithEvents(MAX_TENANTS);
      if (tenants.length === 0) return;
      let taken = 0;
      const next = tenants.values();
      const lane = async (): Promise<void> => {
        for (const tenantId of next) {
          if (this.stopped) return;
          // One tenant's trouble is not another's, and no lane may go on behind a drain that was given up.
          taken += await this.drainTenant(tenantId).catch((error: Error) => this.failed(error));
        }
      };
      await Promise.all(Array.from({ length: Math.min(TENANTS_AT_ONCE, tenants.length) }, lane));
      // Rows that another relay holds are its business; asking for them again at once would be a busy wait.
      if (taken === 0) return;
    }
  }

  private failed(error: Error): number {
    this.logger.warn({ reason: error.message }, 'the outbox could not be read');
    return 0;
  }

  /** One batch of a tenant, so that a tenant with a million events holds up nobody for longer than that. */
  private async drainTenant(tenantId: string): Promise<number> {
    return this.database.transaction({ tenantId }, async (tx) => {
      const events = await tx.query<RelayedEvent>({
        name: 'outbox_take',
        text: `with taken as (
                 delete from outbox where tenant_id = $1 and position in (
                   select position from outbox where tenant_id = $1 order by position limit $2 for update skip locked)
                 returning position, event_id, endpoint_id
               )
               select e.id, e.type, e.aggregate_id, e.sequence, e.created_at, e.traceparent, t.endpoint_id
                 from taken t join events e on e.tenant_id = $1 and e.id = t.event_id
                order by t.position`,
        values: [tenantId, EVENTS_AT_ONCE],
      });
      if (events.length > 0) {
        const spans = this.tracing.isOn ? this.spansOf(tenantId, events) : [];
        tx.afterCommit(() => spans.forEach((span) => span.end()));
        tx.afterCommit(await this.sink.accept(tx, events));
      }
      return events.length;
    });
  }

  /** One for each event that is traced: a batch is no one's alone. One that is not committed never ends, and is not sent. */
  private spansOf(tenantId: string, events: readonly RelayedEvent[]): TraceSpan[] {
    return events.flatMap(({ id, type, traceparent }) => {
      const parent = parseTraceparent(traceparent);
      const attributes = { 'app.tenant_id': tenantId, 'app.event_id': id, 'app.event_type': type };
      return (parent && this.tracing.start('outbox relay', { kind: 'consumer', parent, attributes })) ?? [];
    });
  }
}
