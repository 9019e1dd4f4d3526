import { Inject, Injectable } from '@nestjs/common';
import type { Config } from '../../platform/config/config';
import { CONFIG } from '../../platform/config/config.module';
import { SignInDatabase } from '../../platform/database/roles/role-databases';
import type { Row, Statement } from '../../platform/database/sql/statement';
import type { Transaction } from '../../platform/database/transaction';
import { RateLimited } from '../../platform/errors';
import { KeyedMutex } from './keyed-mutex';

const MINUTE_MS = 60_000;
const ADDRESS_WINDOW_MS = 15 * MINUTE_MS;
const ACCOUNT_WINDOW_MS = 24 * 60 * MINUTE_MS;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 15 * MINUTE_MS;
const NO_LIMIT = 2 ** 31 - 1;
/**
 * Hashed, so that the table holds neither e-mail addresses nor network addresses. Lower-cased by PostgreSQL, which also
 * decides which addresses are one account: two notions of case would give an account two allowances.
 */
const KEY = `$1::text || ':' || encode(sha256(convert_to(lower($2::text), 'UTF8')), 'hex')`;

/** What attempts are counted for. */
interface Counted {
  kind: 'account' | 'address';
  value: string;
}

interface Counter extends Row {
  failures: number;
  blocked_until: Date | null;
  expires_at: Date;
}

/**
 * Slows down guessing: an account has some failures free, then pauses that double; an address has a number of failures
 * in a quarter of an hour. Counted in the database, so restarts and more processes give no more guesses, and for
 * accounts that do not exist just as for those that do.
 *
 * An attempt counts as a failure from its beginning, and is taken back when it succeeds: so guesses sent at once are
 * no more than those sent one by one. Turns keep people who sign in at once with the right password from counting
 * against each other.
 */
@Injectable()
export class SignInLimits {
  private readonly turnsOfAccount = new KeyedMutex(1, 100);
  private readonly turnsOfAddress = new KeyedMutex(8, 1_000);

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly database: SignInDatabase,
  ) {}

  /**
   * Runs a password check under the limits of its account and address; `check` gives undefined where it failed.
   * @throws RateLimited while the account is paused or the address has used up its failures
   */
  async guard<T>(email: string, network: string, check: () => Promise<T | undefined>): Promise<T | undefined> {
    const account: Counted = { kind: 'account', value: email };
    const address: Counted = { kind: 'address', value: network };
    const endAccount = await this.turnsOfAccount.acquire(email.toLowerCase());
    try {
      const endAddress = await this.turnsOfAddress.acquire(network);
      try {
        await this.count(account, address);
        const result = await check();
        if (result !== undefined) await this.takeBack(account, address);
        return result;
      } finally {
        endAddress();
      }
    } finally {
      endAccount();
    }
  }

  /** Counts an attempt, unless it may not be made: then neither counter changes. */
  private count(account: Counted, address: Counted): Promise<void> {
    const now = new Date();
    return this.database.transaction({}, async (tx) => {
      const [[ofAccount], [ofAddress]] = await Promise.all([
        tx.query<Counter>(countAttempt(account, now, ACCOUNT_WINDOW_MS, NO_LIMIT)),
        tx.query<Counter>(countAttempt(address, now, ADDRESS_WINDOW_MS, this.config.RATE_LIMIT_SIGN_IN_ADDRESS)),
      ]);
      if (!ofAccount) throw await this.refusal(tx, account, now);
      if (!ofAddress) throw await this.refusal(tx, address, now);
      const pauseMs = this.pauseAfter(ofAccount.failures);
      if (pauseMs > 0) tx.defer(pause(account, new Date(now.getTime() + pauseMs)));
    });
  }

  private pauseAfter(failures: number): number {
    const beyond = failures - this.config.RATE_LIMIT_SIGN_IN_FREE;
    return beyond < 0 ? 0 : Math.min(FIRST_PAUSE_MS * 2 ** Math.min(beyond, 20), LONGEST_PAUSE_MS);
  }

  private async refusal(tx: Transaction, counted: Counted, now: Date): Promise<RateLimited> {
    const [counter] = await tx.query<Counter>(findCounter(counted));
    const until = counted.kind === 'account' ? counter?.blocked_until : counter?.expires_at;
    const waitMs = (until ?? now).getTime() - now.getTime();
    return new RateLimited('Too many failed sign-ins; try again later.', waitMs / 1000);
  }

  private takeBack(account: Counted, address: Counted): Promise<void> {
    return this.database.transaction({}, async (tx) => {
      tx.defer(forget(account));
      tx.defer(uncount(address));
    });
  }
}

/** Adds one, in a window that begins with the first; gives no row where the pause or the limit forbids it. */
function countAttempt({ kind, value }: Counted, now: Date, windowMs: number, limit: number): Statement {
  return {
    name: 'sign_in_count',
    text: `insert into sign_in_failures as f (key, failures, window_started_at, expires_at) values (${KEY}, 1, $3, $4)
           on conflict (key) do update set
             failures = case when f.expires_at <= $3 then 1 else f.failures + 1 end,
             window_started_at = case when f.expires_at <= $3 then $3 else f.window_started_at end,
             blocked_until = case when f.expires_at <= $3 then null else f.blocked_until end,
             expires_at = case when f.expires_at <= $3 then $4 else f.expires_at end
           where f.expires_at <= $3 or (f.failures < $5 and (f.blocked_until is null or f.blocked_until <= $3))
           returning failures, blocked_until, expires_at`,
    values: [kind, value, now, new Date(now.getTime() + windowMs), limit],
  };
}

function findCounter({ kind, value }: Counted): Statement {
  return {
    name: 'sign_in_find',
    text: `select failures, blocked_until, expires_at from sign_in_failures where key = ${KEY}`,
    values: [kind, value],
  };
}

function pause({ kind, value }: Counted, until: Date): Statement {
  return {
    name: 'sign_in_pause',
    text: `update sign_in_failures set blocked_until = $3 where key = ${KEY}`,
    values: [kind, value, until],
  };
}

function forget({ kind, value }: Counted): Statement {
  return {
    name: 'sign_in_forget',
    text: `delete from sign_in_failures where key = ${KEY}`,
    values: [kind, value],
  };
}

function uncount({ kind, value }: Counted): Statement {
  return {
    name: 'sign_in_uncount',
    text: `update sign_in_failures set failures = failures - 1 where key = ${KEY} and failures > 0`,
    values: [kind, value],
  };
}
