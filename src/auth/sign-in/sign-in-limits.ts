import { createHash, createHmac, hkdfSync } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { Config, required } from '../../platform/config/config';
import { SignInDatabase } from '../../platform/database/roles/sign-in-database';
import type { Row, Statement } from '../../platform/database/sql/statement';
import type { Transaction } from '../../platform/database/transaction';
import { RateLimited } from '../../platform/errors';
import { emailKey } from '../../platform/net/email-key';
import { KeyedMutex } from './keyed-mutex';

const MINUTE_MS = 60_000;
const ADDRESS_WINDOW_MS = 15 * MINUTE_MS;
const ACCOUNT_WINDOW_MS = 24 * 60 * MINUTE_MS;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 15 * MINUTE_MS;
/** The clocks of two processes may differ by this much. */
const CLOCKS_DIFFER_MS = MINUTE_MS;
const NO_LIMIT = 2 ** 31 - 1;
const KNOWN_NETWORK_MS = 90 * 24 * 60 * MINUTE_MS;
const NO_USER = '00000000-0000-0000-0000-000000000000';

/** The subject of a counter, as a hash: the table contains neither e-mail addresses nor network addresses. */
interface Counted {
  kind: 'account' | 'address';
  key: string;
}

/** The account of an attempt, and its origin. */
export interface Attempt {
  email: string;
  network: string;
  /** Undefined if the address has no account. */
  userId?: string;
}

interface Counter extends Row {
  failures: number;
  blocked_until: Date | null;
  expires_at: Date;
}

/**
 * Slows down guessing: an account has some free failures, then pauses that double; a network has a number of failures
 * in a quarter of an hour. The counters are in the database, so restarts and more processes allow no more guesses, and
 * unknown accounts count like existing ones. A network from which the account has signed in counts separately, so that
 * a stranger's failures do not lock out the owner.
 *
 * An attempt counts as a failure from its beginning, and is uncounted when it succeeds: so concurrent guesses are no
 * more than sequential ones. Only a complete sign-in clears the count. The mutexes prevent concurrent sign-ins with the
 * right password from counting against each other.
 */
@Injectable()
export class SignInLimits {
  private readonly accountMutex = new KeyedMutex(1, 100);
  private readonly networkMutex = new KeyedMutex(8, 1_000);
  private readonly key: Buffer;

  constructor(
    private readonly config: Config,
    private readonly database: SignInDatabase,
  ) {
    this.key = Buffer.from(hkdfSync('sha256', required(config, 'JWT_SECRET'), '', 'sign-in-limits', 32));
  }

  /**
   * Runs a check of a password or a code under the limits of its account and network; `check` returns undefined for a
   * failure.
   * @throws RateLimited while the account is paused or the network has used up its failures, before any comparison
   */
  async guard<T>(attempt: Attempt, check: () => Promise<T | undefined>): Promise<T | undefined> {
    const account = emailKey(attempt.email);
    const releaseAccount = await this.accountMutex.acquire(account);
    try {
      const releaseNetwork = await this.networkMutex.acquire(attempt.network);
      try {
        const counted = await this.countedFor(attempt);
        await this.count(...counted);
        const result = await check();
        if (result !== undefined) await this.takeBack(...counted);
        return result;
      } finally {
        releaseNetwork();
      }
    } finally {
      releaseAccount();
    }
  }

  /**
   * Completes a sign-in: clears the counts of the account, and remembers the network.
   * @returns whether the network is new to an account that has signed in from others
   */
  async complete(userId: string, email: string, network: string): Promise<boolean> {
    const now = new Date();
    const account = hashOf(emailKey(email));
    return this.database.transaction({ userId }, async (tx) => {
      tx.defer(forget(`account:${account}`));
      tx.defer(forget(`account:${account}:${hashOf(network)}`));
      const hash = this.networkHash(userId, network);
      const known = await tx.query<{ is_this: boolean }>(findNetworks(userId, hash, now));
      tx.defer(rememberNetwork(userId, hash, new Date(now.getTime() + KNOWN_NETWORK_MS)));
      return known.length > 0 && !known.some((row) => row.is_this);
    });
  }

  /** The counters of an attempt. The same statement runs for an account that does not exist. */
  private async countedFor({ email, network, userId = NO_USER }: Attempt): Promise<[Counted, Counted]> {
    const known = await this.database.transaction({ userId }, (tx) =>
      tx.query<{ is_this: boolean }>(findNetworks(userId, this.networkHash(userId, network), new Date())),
    );
    const account = `account:${hashOf(emailKey(email))}`;
    const ofNetwork = hashOf(network);
    const isKnown = known.some((row) => row.is_this);
    return [
      { kind: 'account', key: isKnown ? `${account}:${ofNetwork}` : account },
      { kind: 'address', key: `address:${ofNetwork}` },
    ];
  }

  private networkHash(userId: string, network: string): Buffer {
    return createHmac('sha256', this.key).update(`${userId}/${network}`).digest();
  }

  /** Counts an attempt, unless it is refused: then neither counter changes. */
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
    return this.database.transaction({}, (tx) => {
      tx.defer(uncount(account));
      tx.defer(uncount(address));
      return Promise.resolve();
    });
  }
}

function hashOf(value: string): string {
  return createHash('sha256').update(value).digest('hex');
}

/** The window is over, or ends later than any window of now would: the clock was set back since it began. */
const ENDED = '(f.expires_at <= $2 or f.expires_at > $5)';

/** Adds one, in a window that begins with the first; returns no row if the pause or the limit forbids it. */
function countAttempt({ key }: Counted, now: Date, windowMs: number, limit: number): Statement {
  const after = (milliseconds: number): Date => new Date(now.getTime() + milliseconds);
  return {
    name: 'sign_in_count',
    text: `insert into sign_in_failures as f (key, failures, window_started_at, expires_at) values ($1, 1, $2, $3)
           on conflict (key) do update set
             failures = case when ${ENDED} then 1 else f.failures + 1 end,
             window_started_at = case when ${ENDED} then $2 else f.window_started_at end,
             blocked_until = case when ${ENDED} then null else f.blocked_until end,
             expires_at = case when ${ENDED} then $3 else f.expires_at end
           where ${ENDED} or (f.failures < $4 and (f.blocked_until is null or f.blocked_until <= $2 or f.blocked_until > $6))
           returning failures, blocked_until, expires_at`,
    values: [
      key,
      now,
      after(windowMs),
      limit,
      after(windowMs + CLOCKS_DIFFER_MS),
      after(LONGEST_PAUSE_MS + CLOCKS_DIFFER_MS),
    ],
  };
}

function findCounter({ key }: Counted): Statement {
  return {
    name: 'sign_in_find',
    text: 'select failures, blocked_until, expires_at from sign_in_failures where key = $1',
    values: [key],
  };
}

function pause({ key }: Counted, until: Date): Statement {
  return {
    name: 'sign_in_pause',
    text: 'update sign_in_failures set blocked_until = $2 where key = $1',
    values: [key, until],
  };
}

function forget(key: string): Statement {
  return { name: 'sign_in_forget', text: 'delete from sign_in_failures where key = $1', values: [key] };
}

/** Takes an attempt back that turned out right, with the pause that it began. */
function uncount({ key }: Counted): Statement {
  return {
    name: 'sign_in_uncount',
    text: 'update sign_in_failures set failures = failures - 1, blocked_until = null where key = $1 and failures > 0',
    values: [key],
  };
}

function findNetworks(userId: string, hash: Buffer, now: Date): Statement {
  return {
    name: 'networks_find',
    text: `select network_hash = $2 as is_this from known_networks where user_id = $1 and expires_at > $3
            order by network_hash = $2 desc limit 2`,
    values: [userId, hash, now],
  };
}

function rememberNetwork(userId: string, hash: Buffer, expiresAt: Date): Statement {
  return {
    name: 'network_remember',
    text: `insert into known_networks (user_id, network_hash, expires_at) values ($1, $2, $3)
           on conflict (user_id, network_hash) do update set expires_at = excluded.expires_at`,
    values: [userId, hash, expiresAt],
  };
}
