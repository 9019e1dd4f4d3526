import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import { DatabaseHealth } from '../database/database-health';
import { withDeadline } from '../deadline';
import { Unavailable } from '../errors';
import { QueueHealth } from './queue-health';
import { LOGGER } from '../observability/logger.module';
import { Metrics } from '../observability/metrics';

/** Whether a process can do its work, and what stands in the way. */
export interface ReadinessReport {
  status: 'ok' | 'unavailable';
  /** What was looked at, and `ok` or what is wrong with it. */
  checks: Record<string, string>;
}

const PATIENCE_MS = 2_000;

/** Checks that may be left out of the answer. What is left is whether this process itself can serve. */
const EXCLUDABLE = ['database', 'queue'] as const;
type Excludable = (typeof EXCLUDABLE)[number];

/** Every way to say which checks to leave out. */
export const EXCLUSIONS = [...EXCLUDABLE, 'database,queue', 'queue,database'] as const;
export type Exclusion = (typeof EXCLUSIONS)[number];

/** Answers whether a process is ready. */
export interface ReadinessSource {
  report(exclude?: Exclusion): Promise<ReadinessReport>;
}

/** What the check of migrations says. */
export function pendingText(names: readonly string[]): string {
  return names.length === 0 ? 'ok' : `pending: ${names.join(', ')}`;
}

const noAnswer = (): Error => new Unavailable('no answer within the deadline');

/** Looks at what a process needs: the same for one that serves requests and one that sends webhooks. */
@Injectable()
export class Readiness implements ReadinessSource {
  private stopping = false;

  constructor(
    private readonly database: DatabaseHealth,
    private readonly queue: QueueHealth,
    @Inject(LOGGER) private readonly logger: Logger,
    private readonly metrics: Metrics,
  ) {
    metrics.showDependencies(async () => {
      const { checks } = await this.report();
      return Object.fromEntries(EXCLUDABLE.map((name) => [name, checks[name] === 'ok']));
    });
  }

  /**
   * Whether this process was told to stop. It says so before it shuts its door, so that balancers turn away first; each
   * of its answers meanwhile ends its connection, so that clients which keep theirs turn away, too.
   */
  get isStopping(): boolean {
    return this.stopping;
  }

  /** From now on the answer is that it is not ready. */
  fall(): void {
    this.stopping = true;
  }

  /**
   * @param exclude checks that do not count, and are not made. Migrations are asked of the database, and left out with it:
   * none was pending when this process began to serve
   */
  async report(exclude?: Exclusion): Promise<ReadinessReport> {
    const counts = (name: Excludable): boolean => !exclude?.split(',').includes(name);
    const [schema, queue] = await Promise.all([
      counts('database') ? this.look('database', this.database.pendingMigrations()) : undefined,
      counts('queue') ? this.look('queue', this.queue.assertThere()) : undefined,
    ]);
    const checks: Record<string, string> = {};
    if (schema) checks.database = schema.state;
    if (schema?.found) {
      checks.migrations = pendingText(schema.found);
      this.metrics.pendingMigrations.set(schema.found.length);
    }
    if (queue) checks.queue = queue.state;
    if (this.stopping) checks.process = 'stopping';
    const ready = Object.values(checks).every((state) => state === 'ok');
    return { status: ready ? 'ok' : 'unavailable', checks };
  }

  private async look<T>(what: string, work: Promise<T>): Promise<{ state: string; found?: T }> {
    try {
      return { state: 'ok', found: await withDeadline(work, PATIENCE_MS, noAnswer) };
    } catch (error) {
      this.logger.warn({ err: error, check: what }, 'not ready');
      return { state: 'unavailable' };
    }
  }
}
