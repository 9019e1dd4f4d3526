import { type BeforeApplicationShutdown, Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import type { Logger } from 'pino';
import { LOGGER } from '../../platform/observability/logger.module';
import { AuditFolder } from './audit-folder';
import { Erasures } from './erasures';
import { RefusalWriter } from './refusal-writer';

const FOLD_INTERVAL_MS = 1_000;
/** For hourly work. */
const HOUSEKEEPING_INTERVAL_MS = 60_000;

/**
 * Runs the audit log's work in the worker. Every worker tries, and a lock in the database admits one of them for each
 * tenant, so that no take-over is needed when a worker ends.
 */
@Injectable()
export class AuditJob implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private stopped = false;
  private readonly running = new Set<Promise<void>>();
  private readonly timers: NodeJS.Timeout[] = [];

  constructor(
    private readonly folder: AuditFolder,
    private readonly refusals: RefusalWriter,
    private readonly erasures: Erasures,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  onApplicationBootstrap(): void {
    this.every(FOLD_INTERVAL_MS, () => this.folder.foldAll(() => this.stopped));
    this.every(HOUSEKEEPING_INTERVAL_MS, async () => {
      await this.refusals.writeAll();
      await this.erasures.carryOut();
      await this.folder.announceHeads();
    });
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.stopped = true;
    for (const timer of this.timers) clearInterval(timer);
    await Promise.allSettled(this.running);
  }

  /** A round that takes longer than the interval is followed by the next one at its next tick. */
  private every(milliseconds: number, work: () => Promise<void>): void {
    let busy = false;
    const tick = (): void => {
      if (busy || this.stopped) return;
      busy = true;
      const round = work()
        .catch((error: Error) => this.logger.warn({ reason: error.message }, 'the audit log’s work could not be done'))
        .finally(() => {
          busy = false;
          this.running.delete(round);
        });
      this.running.add(round);
    };
    const timer = setInterval(tick, milliseconds);
    timer.unref();
    this.timers.push(timer);
  }
}
