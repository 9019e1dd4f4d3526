import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import { DatabaseHealth } from '../database/database-health';
import { withDeadline } from '../deadline';
import { Unavailable } from '../errors';
import { QueueHealth } from './queue-health';
import { LOGGER } from '../observability/logger.module';

/** Whether a process can do its work, and what stands in the way. */
export interface ReadinessReport {
  status: 'ok' | 'unavailable';
  /** What was looked at, and `ok` or what is wrong with it. */
  checks: Record<string, string>;
}

const PATIENCE_MS = 2_000;

/** What may be left out of the answer: without the queue requests are served, and what they tell of is sent later. */
export const EXCLUDABLE = ['queue'] as const;

const noAnswer = (): Error => new Unavailable('no answer within the deadline');

/** Looks at what a process needs: the same for one that serves requests and one that sends webhooks. */
@Injectable()
export class Readiness {
  private stopping = false;

  constructor(
    private readonly database: DatabaseHealth,
    private readonly queue: QueueHealth,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

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

  /** @param exclude a check that does not count, and is not made */
  async report(exclude?: (typeof EXCLUDABLE)[number]): Promise<ReadinessReport> {
    const [schema, queue] = await Promise.all([
      this.look('database', this.database.pendingMigrations()),
      exclude === 'queue' ? undefined : this.look('queue', this.queue.assertThere()),
    ]);
    const checks: Record<string, string> = { database: schema.state };
    if (schema.found) checks.migrations = schema.found.length === 0 ? 'ok' : `pending: ${schema.found.join(', ')}`;
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
