import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import { DiscoveryDatabase } from '../database/roles/role-databases';
import type { Row, Statement } from '../database/sql/statement';
import { TenantDatabase } from '../database/tenant-database';
import { LOGGER } from '../observability/logger.module';
import { parseTraceparent } from '../observability/trace-context';
import { TRACING, type Tracing } from '../observability/tracing';

const EVENTS_AT_ONCE = 200;
const TENANTS_AT_ONCE = 4;
const MAX_TENANTS = 10_000;

/** What every row of an {@link EventSink}'s statement says of its event. */
export interface RelayedEvent extends Row {
  event_id: string;
  event_type: string;
  /** The trace that it belongs to, where there is one. */
  traceparent: string | null;
}

/** What becomes of events. */
export interface EventSink<R extends RelayedEvent = RelayedEvent> {
  /**
   * A statement that takes the first events of a tenant, so many at most, out of the outbox and writes what they
   * become: both or neither. Its rows are in the order of the events, one at least for each.
   */
  takeEvents(tenantId: string, limit: number): Statement;
  /** Called with the rows once they are committed. */
  taken(tenantId: string, rows: readonly R[]): void;
}

/** Injection token of the {@link EventSink}. */
export const EVENT_SINK = Symbol('EVENT_SINK');

/**
 * Empties the outbox, tenant by tenant, in the order of commits of each aggregate. One elected leader runs it. If two
 * run for a moment, they skip each other's rows, and deliveries are keyed by the event.
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

  /** Announces that there may be rows; returns at once. Calls during a run cause one more round. */
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

  /** Takes no more rows, and resolves when the current batch is handed on. */
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
          // An error of one tenant must not affect others, and no worker may continue after the drain was given up.
          taken += await this.drainTenant(tenantId).catch((error: Error) => this.failed(error));
        }
      };
      await Promise.all(Array.from({ length: Math.min(TENANTS_AT_ONCE, tenants.length) }, lane));
      // Another relay holds the remaining rows; asking again at once would be a busy wait.
      if (taken === 0) return;
    }
  }

  private failed(error: Error): number {
    this.logger.warn({ reason: error.message }, 'the outbox could not be read');
    return 0;
  }

  /** One batch of a tenant, so that a tenant with a million events delays others by one batch at most. */
  private async drainTenant(tenantId: string): Promise<number> {
    const startTime = new Date().getTime();
    const rows = await this.database.write<RelayedEvent>({ tenantId }, this.sink.takeEvents(tenantId, EVENTS_AT_ONCE));
    this.sink.taken(tenantId, rows);
    const events = rows.filter((row, at) => row.event_id !== rows[at - 1]?.event_id);
    if (this.tracing.isOn) for (const event of events) this.trace(tenantId, event, startTime);
    return events.length;
  }

  /** One span for each traced event: a batch belongs to no single trace. */
  private trace(tenantId: string, event: RelayedEvent, startTime: number): void {
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
