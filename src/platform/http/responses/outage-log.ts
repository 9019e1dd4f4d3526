import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import type { FastifyBaseLogger } from 'fastify';
import type { AppError } from '../../errors';

/** No refusal for so long, and the outage is over. */
const QUIET_MS = 5_000;
const CHECK_INTERVAL_MS = 1_000;
/** Different causes of one outage that are logged. */
const MAX_CAUSES = 10;

/**
 * The log of requests that were refused because a dependency is unavailable: one line for each cause when it begins,
 * and one with the count when it ends. A line for each request would repeat the same thousands of times.
 */
@Injectable()
export class OutageLog implements OnModuleDestroy {
  private readonly causes = new Set<string>();
  private refused = 0;
  private lastAt = 0;
  private timer?: NodeJS.Timeout;

  /** Records a request that got 503. */
  note(log: FastifyBaseLogger, ids: Record<string, unknown>, error: AppError): void {
    this.refused++;
    this.lastAt = performance.now();
    this.timer ??= setInterval(() => this.check(log), CHECK_INTERVAL_MS).unref();
    const cause = error.internal ?? error.message;
    if (this.causes.has(cause) || this.causes.size >= MAX_CAUSES) {
      log.debug({ ...ids, internal: error.internal }, 'request failed');
      return;
    }
    this.causes.add(cause);
    log.error(
      { ...ids, err: error.cause ?? error, internal: error.internal },
      'request failed; others that fail for the same cause are counted, not logged',
    );
  }

  onModuleDestroy(): void {
    clearInterval(this.timer);
  }

  private check(log: FastifyBaseLogger): void {
    if (performance.now() - this.lastAt < QUIET_MS) return;
    log.info({ refused: this.refused }, 'requests are served again');
    clearInterval(this.timer);
    this.timer = undefined;
    this.refused = 0;
    this.causes.clear();
  }
}
