import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';
import type { Logger } from 'pino';
import { EpochDatabase } from '../database/roles/epoch-database';
import type { TenantTransaction } from '../database/tenant-database';
import type { Transaction } from '../database/transaction';
import { LOGGER } from '../observability/logger.module';
import { type EpochRow, findMoved, raiseEpoch, raiseEpochs, WHOLE_TENANT } from './epochs.queries';

/** How often the counters of live credentials are compared: one statement for all of them. */
const COMPARE_EVERY_MS = 1_000;
/** How long a comparison counts. With the time of a request it keeps the contract's two seconds. */
const CONFIRMED_FOR_MS = 1_800;
/** A counter without a request for this time is not compared; the next request reads its state again. */
const ASKED_WITHIN_MS = 2_500;
const MAX_COMPARED = 50_000;

/** The value that a counter had when a state was read. */
export interface EpochAtRead {
  tenantId: string;
  /** {@link WHOLE_TENANT} for the counter of the tenant. */
  userId: string;
  epoch: number;
}

interface Watched extends EpochAtRead {
  /** The start of the last statement that saw this value. */
  confirmedAt: number;
  askedAt: number;
}

/**
 * Epochs of credentials. A change that affects credentials raises a counter in its own transaction. Every process
 * compares the counters of recently used credentials, once a second in one statement, and a state that was read under
 * an older value is no longer valid. If a comparison fails, states expire and are read one by one.
 */
@Injectable()
export class Epochs implements OnModuleDestroy {
  private readonly watched = new Map<string, Watched>();
  private timer?: NodeJS.Timeout;
  private stopped = false;

  constructor(
    private readonly database: EpochDatabase,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  onModuleDestroy(): void {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  /** Invalidates all credentials of the transaction's tenant, in every process. */
  raiseTenant(tx: TenantTransaction): void {
    this.raise(tx, tx.tenantId, WHOLE_TENANT);
  }

  /** The same for the credentials of one member of the transaction's tenant. */
  raiseMember(tx: TenantTransaction, userId: string): void {
    this.raise(tx, tx.tenantId, userId);
  }

  /**
   * The same for a person in the given tenants, and without one. `tx` is a transaction of the sign-in role bound to
   * that person.
   */
  raisePerson(tx: Transaction, userId: string, tenantIds: readonly string[]): void {
    const homes = [...new Set([...tenantIds, userId])];
    tx.defer(raiseEpochs(homes, userId));
    tx.afterCommit(() => homes.forEach((home) => this.watched.delete(keyOf(home, userId))));
  }

  /** Takes note of the values under which a state was read. @param readAt the time before the question, monotonic */
  note(epochs: readonly EpochAtRead[], readAt: number): void {
    for (const { tenantId, userId, epoch } of epochs) {
      const key = keyOf(tenantId, userId);
      const known = this.watched.get(key);
      if (!known || known.epoch < epoch) {
        this.watched.set(key, { tenantId, userId, epoch, confirmedAt: readAt, askedAt: readAt });
      } else if (known.epoch === epoch) {
        known.confirmedAt = Math.max(known.confirmedAt, readAt);
      }
    }
    this.schedule();
  }

  /** Whether a state that was read under these values still counts. Asking keeps the counters compared. */
  areCurrent(epochs: readonly EpochAtRead[]): boolean {
    const now = performance.now();
    let current = true;
    for (const { tenantId, userId, epoch } of epochs) {
      const known = this.watched.get(keyOf(tenantId, userId));
      if (!known) return false;
      known.askedAt = now;
      current &&= known.epoch === epoch && now - known.confirmedAt < CONFIRMED_FOR_MS;
    }
    return current;
  }

  private raise(tx: Transaction, tenantId: string, userId: string): void {
    tx.defer(raiseEpoch(tenantId, userId));
    tx.afterCommit(() => void this.watched.delete(keyOf(tenantId, userId)));
  }

  private schedule(): void {
    if (this.timer || this.stopped) return;
    this.timer = setTimeout(() => {
      void this.compare().finally(() => {
        this.timer = undefined;
        if (this.watched.size > 0) this.schedule();
      });
    }, COMPARE_EVERY_MS).unref();
  }

  private async compare(): Promise<void> {
    const startedAt = performance.now();
    const compared: Watched[] = [];
    for (const [key, watched] of this.watched) {
      if (startedAt - watched.askedAt > ASKED_WITHIN_MS) this.watched.delete(key);
      else if (compared.length < MAX_COMPARED) compared.push(watched);
    }
    if (compared.length === 0) return;
    const values = compared.map(({ epoch }) => epoch);
    try {
      const moved = await this.database.query<EpochRow>(findMoved(compared));
      const now = new Map(moved.map((row) => [keyOf(row.tenant_id, row.user_id), row.epoch]));
      compared.forEach((watched, at) => {
        const epoch = now.get(keyOf(watched.tenantId, watched.userId)) ?? (values[at] as number);
        if (epoch < watched.epoch) return;
        watched.epoch = epoch;
        watched.confirmedAt = startedAt;
      });
    } catch (error) {
      this.logger.warn({ reason: (error as Error).message }, 'epochs of credentials could not be compared');
    }
  }
}

function keyOf(tenantId: string, userId: string): string {
  return `${tenantId}/${userId}`;
}
