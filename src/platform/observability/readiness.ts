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
  constructor(
    private readonly database: DatabaseHealth,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

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
