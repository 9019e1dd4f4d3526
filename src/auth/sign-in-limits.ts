import { createHash } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import type { Config } from '../platform/config/config';
import { CONFIG } from '../platform/config/config.module';
import { SignInDatabase } from '../platform/database/role-databases';
import type { Row } from '../platform/database/statement';
import type { Transaction } from '../platform/database/transaction';
import { RateLimited } from '../platform/errors';

const MINUTE_MS = 60_000;
const ADDRESS_WINDOW_MS = 15 * MINUTE_MS;
const ACCOUNT_WINDOW_MS = 24 * 60 * MINUTE_MS;
const LONGEST_PAUSE_MS = 15 * MINUTE_MS;
/** Passwords of one account that are checked at once in one process; more wait, and find the pause that came meanwhile. */
const CHECKS_AT_ONCE = 4;

interface FailureRow extends Row {
  key: string;
  failures: number;
  blocked_until: Date | null;
}

/**
 * Slows down guessing: an account has some failures free, then pauses that double; an address has a number of failures
 * in a quarter of an hour. Counted in the database, so restarts and more processes give no more guesses, and for
 * accounts that do not exist just as for those that do.
 */
@Injectable()
export class SignInLimits {
  private readonly checking = new Map<string, { running: number; waiting: (() => void)[] }>();

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly database: SignInDatabase,
  ) {}

  /**
   * Runs a password check under the limits of its account and address; `check` says whether it succeeded.
   * @throws RateLimited while the account is paused or the address has used up its failures
   */
  async guard<T>(email: string, address: string, check: () => Promise<T | undefined>): Promise<T | undefined> {
    const account = keyOf('account', email.toLowerCase());
    const origin = keyOf('address', address);
    await this.enter(account);
    try {
      await this.assertAllowed(account, origin);
      const result = await check();
      await (result === undefined ? this.countFailure(account, origin) : this.forget(account));
      return result;
    } finally {
      this.leave(account);
    }
  }

  private async assertAllowed(account: string, origin: string): Promise<void> {
    const now = new Date();
    const rows = await this.database.transaction({}, (tx) =>
      tx.query<FailureRow>({
        name: 'sign_in_failures_find',
        text: 'select key, failures, blocked_until from sign_in_failures where key in ($1, $2) and expires_at > $3',
        values: [account, origin, now],
      }),
    );
    const until = rows.reduce((latest, row) => Math.max(latest, row.blocked_until?.getTime() ?? 0), 0);
    if (until > now.getTime()) {
      throw new RateLimited('Too many failed sign-ins; try again later.', (until - now.getTime()) / 1000);
    }
  }

  private countFailure(account: string, origin: string): Promise<void> {
    return this.database.transaction({}, async (tx) => {
      await this.count(tx, account, ACCOUNT_WINDOW_MS, (failures) => {
        const beyond = failures - this.config.RATE_LIMIT_SIGN_IN_FREE;
        return beyond < 0 ? 0 : Math.min(1_000 * 2 ** Math.min(beyond, 20), LONGEST_PAUSE_MS);
      });
      await this.count(tx, origin, ADDRESS_WINDOW_MS, (failures, windowEndsIn) =>
        failures >= this.config.RATE_LIMIT_SIGN_IN_ADDRESS ? windowEndsIn : 0,
      );
    });
  }

  /** Adds a failure and sets the pause that follows from their number; the row lock makes parallel failures count. */
  private async count(
    tx: Transaction,
    key: string,
    windowMs: number,
    pause: (failures: number, windowEndsInMs: number) => number,
  ): Promise<void> {
    const now = new Date();
    const [row] = await tx.query<{ failures: number; expires_at: Date }>({
      name: 'sign_in_failures_count',
      text: `insert into sign_in_failures as f (key, failures, window_started_at, expires_at) values ($1, 1, $2, $3)
             on conflict (key) do update set
               failures = case when f.expires_at <= $2 then 1 else f.failures + 1 end,
               window_started_at = case when f.expires_at <= $2 then $2 else f.window_started_at end,
               expires_at = case when f.expires_at <= $2 then $3 else f.expires_at end
             returning failures, expires_at`,
      values: [key, now, new Date(now.getTime() + windowMs)],
    });
    const { failures, expires_at: windowEnds } = row as { failures: number; expires_at: Date };
    const pauseMs = pause(failures, windowEnds.getTime() - now.getTime());
    if (pauseMs > 0) {
      tx.defer({
        name: 'sign_in_failures_block',
        text: 'update sign_in_failures set blocked_until = $2 where key = $1',
        values: [key, new Date(now.getTime() + pauseMs)],
      });
    }
  }

  private forget(account: string): Promise<void> {
    return this.database.transaction({}, async (tx) => {
      tx.defer({
        name: 'sign_in_failures_forget',
        text: 'delete from sign_in_failures where key = $1',
        values: [account],
      });
    });
  }

  private async enter(account: string): Promise<void> {
    const queue = this.checking.get(account) ?? { running: 0, waiting: [] };
    this.checking.set(account, queue);
    if (queue.running < CHECKS_AT_ONCE) {
      queue.running++;
      return;
    }
    if (queue.waiting.length >= 100) throw new RateLimited('Too many sign-ins of this account at once.', 1);
    await new Promise<void>((resolve) => queue.waiting.push(resolve));
  }

  private leave(account: string): void {
    const queue = this.checking.get(account);
    if (!queue) return;
    const next = queue.waiting.shift();
    if (next) next();
    else if (--queue.running === 0) this.checking.delete(account);
  }
}

/** Hashed, so that the table holds neither e-mail addresses nor network addresses. */
function keyOf(kind: string, value: string): string {
  return `${kind}:${createHash('sha256').update(value).digest('base64url')}`;
}
