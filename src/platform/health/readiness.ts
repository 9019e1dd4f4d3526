import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import { DatabaseHealth } from '../database/database-health';
import { withDeadline } from '../deadline';
import { Unavailable } from '../errors';
import { QueueHealth } from './queue-health';
import { LOGGER } from '../observability/logger.module';
import { Metrics } from '../observability/metrics';

/** Whether a process can do its work, and the reasons if it cannot. */
export interface ReadinessReport {
  status: 'ok' | 'unavailable';
  /** The result of each check: `ok` or the fault. */
  checks: Record<string, string>;
}

const TIMEOUT_MS = 2_000;
/** A scrape has other gauges to show, and a deadline of its own. */
const SCRAPE_TIMEOUT_MS = 500;

/** Checks that a caller may exclude. The remaining checks show whether this process itself can serve. */
const EXCLUDABLE = ['database', 'queue'] as const;
type Excludable = (typeof EXCLUDABLE)[number];

/** Every value that excludes checks. */
export const EXCLUSIONS = [...EXCLUDABLE, 'database,queue', 'queue,database'] as const;
export type Exclusion = (typeof EXCLUSIONS)[number];

/** Reports whether a process is ready. */
export interface ReadinessSource {
  report(exclude?: Exclusion): Promise<ReadinessReport>;
}

/** The result of the check of migrations. */
export function pendingText(names: readonly string[]): string {
  return names.length === 0 ? 'ok' : `pending: ${names.join(', ')}`;
}

const MEASURE_CLOCK_EVERY_MS = 60_000;
/** Access tokens are checked against the clock: the tokens of a process that is off by more are refused by others. */
const MAX_CLOCK_SKEW_MS = 30_000;

/** The result of the check of the clock. */
function skewText(aheadMs: number): string {
  return `${Math.round(Math.abs(aheadMs) / 1_000)} s ${aheadMs > 0 ? 'ahead of' : 'behind'} the database`;
}

const timeoutError = (): Error => new Unavailable('no reply within the deadline');

/** Checks the dependencies of a process; the API and the worker share them. */
@Injectable()
export class Readiness implements ReadinessSource {
  private stopping = false;
  /** By how much this process's clock was ahead of the database's when that was measured last, and when. */
  private clock = { aheadMs: 0, measuredAt: -Infinity };

  constructor(
    private readonly database: DatabaseHealth,
    private readonly queue: QueueHealth,
    @Inject(LOGGER) private readonly logger: Logger,
    private readonly metrics: Metrics,
  ) {
    metrics.showDependencies(async () => {
      const { checks } = await this.report(undefined, SCRAPE_TIMEOUT_MS);
      return Object.fromEntries(EXCLUDABLE.map((name) => [name, checks[name] === 'ok']));
    });
  }

  /**
   * Whether this process is stopping. Readiness fails before the socket closes, so that balancers stop sending
   * requests. Meanwhile each response closes its connection, so that clients with kept connections reconnect elsewhere.
   */
  get isStopping(): boolean {
    return this.stopping;
  }

  /** Reports not ready from now on. */
  stopServing(): void {
    this.stopping = true;
  }

  /**
   * @param exclude checks that do not count and are not made. The check of migrations uses the database and is excluded
   * with it: no migration was pending when this process began to serve
   */
  async report(exclude?: Exclusion, timeoutMs = TIMEOUT_MS): Promise<ReadinessReport> {
    const counts = (name: Excludable): boolean => !exclude?.split(',').includes(name);
    const [schema, queue] = await Promise.all([
      counts('database') ? this.check('database', this.pendingMigrations(), timeoutMs) : undefined,
      counts('queue') ? this.check('queue', this.queue.assertThere(), timeoutMs) : undefined,
    ]);
    const checks: Record<string, string> = {};
    if (schema) checks.database = schema.state;
    if (schema?.found) {
      checks.migrations = pendingText(schema.found);
      this.metrics.pendingMigrations.set(schema.found.length);
    }
    if (schema && Math.abs(this.clock.aheadMs) > MAX_CLOCK_SKEW_MS) checks.clock = skewText(this.clock.aheadMs);
    if (queue) checks.queue = queue.state;
    if (this.stopping) checks.process = 'stopping';
    const ready = Object.values(checks).every((state) => state === 'ok');
    return { status: ready ? 'ok' : 'unavailable', checks };
  }

  private async pendingMigrations(): Promise<string[]> {
    const [pending] = await Promise.all([
      this.database.pendingMigrations(),
      this.database.assertWritable(),
      this.measureClock(),
    ]);
    return pending;
  }

  /** Once a minute: clocks drift slowly, and are set rarely. */
  private async measureClock(): Promise<void> {
    if (performance.now() - this.clock.measuredAt < MEASURE_CLOCK_EVERY_MS) return;
    const aheadMs = await this.database.clockAhead();
    this.clock = { aheadMs, measuredAt: performance.now() };
    this.metrics.clockAhead.set(aheadMs / 1_000);
  }

  private async check<T>(what: string, work: Promise<T>, timeoutMs: number): Promise<{ state: string; found?: T }> {
    try {
      return { state: 'ok', found: await withDeadline(work, timeoutMs, timeoutError) };
    } catch (error) {
      this.logger.warn({ err: error, check: what }, 'not ready');
      return { state: 'unavailable' };
    }
  }
}
