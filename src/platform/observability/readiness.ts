import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import { DatabaseHealth } from '../database/health';
import { Unavailable } from '../errors';
import { LOGGER } from './logger.module';

/** Whether a process can do its work, and what stands in the way. */
export interface ReadinessReport {
  status: 'ok' | 'unavailable';
  /** What was looked at, and `ok` or what is wrong with it. */
  checks: Record<string, string>;
}

const DATABASE_PATIENCE_MS = 2_000;

/** Looks at what a process needs: the same for one that serves requests and one that sends webhooks. */
@Injectable()
export class Readiness {
  private stopping = false;

  constructor(
    private readonly database: DatabaseHealth,
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

  async report(): Promise<ReadinessReport> {
    const checks: Record<string, string> = {};
    try {
      const pending = await withDeadline(this.database.pendingMigrations(), DATABASE_PATIENCE_MS);
      checks.database = 'ok';
      checks.migrations = pending.length === 0 ? 'ok' : `pending: ${pending.join(', ')}`;
    } catch (error) {
      this.logger.warn({ err: error }, 'not ready');
      checks.database = 'unavailable';
    }
    if (this.stopping) checks.process = 'stopping';
    const ready = Object.values(checks).every((state) => state === 'ok');
    return { status: ready ? 'ok' : 'unavailable', checks };
  }
}

async function withDeadline<T>(work: Promise<T>, milliseconds: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Unavailable('no answer within the deadline')), milliseconds);
  });
  try {
    return await Promise.race([work, deadline]);
  } finally {
    clearTimeout(timer);
  }
}
