import { createHmac, hkdfSync } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { Config, required } from '../../platform/config/config';
import type { Statement } from '../../platform/database/sql/statement';
import type { Transaction } from '../../platform/database/transaction';
import { RateLimited } from '../../platform/errors';
import { emailKey } from '../../platform/net/email-key';

const HOUR_MS = 60 * 60_000;
const LIMITS = [
  { name: 'mails-hour', windowMs: HOUR_MS, most: 5 },
  { name: 'mails-day', windowMs: 24 * HOUR_MS, most: 20 },
];
/** A sender has a session, and may have to try again. */
const SENDER_LIMITS = [
  { name: 'sent-hour', windowMs: HOUR_MS, most: 20 },
  { name: 'sent-day', windowMs: 24 * HOUR_MS, most: 50 },
];

/** The response to a sender beyond the allowance. */
export function tooManyMails(): RateLimited {
  return new RateLimited('Too many mails; try again later.', HOUR_MS / 1000);
}

/** Counts mails: of callers without a session by address, all kinds together; of members by sender as well. */
@Injectable()
export class MailAllowance {
  private readonly key: Buffer;

  constructor(config: Config) {
    this.key = Buffer.from(hkdfSync('sha256', required(config, 'JWT_SECRET'), '', 'mail-allowance', 32));
  }

  /** Whether one more mail may go to the address; counts it. Runs in a transaction of the sign-in role. */
  take(tx: Transaction, email: string): Promise<boolean> {
    return this.count(tx, emailKey(email), LIMITS);
  }

  /**
   * Whether a sender may cause one more mail, to one address if it is given; counts it, apart from those of others: a
   * tenant's own mails to an address, and the mails of a person.
   */
  takeBy(tx: Transaction, senderId: string, email?: string): Promise<boolean> {
    return this.count(tx, email === undefined ? senderId : `${senderId}/${emailKey(email)}`, SENDER_LIMITS);
  }

  private async count(tx: Transaction, what: string, limits: typeof LIMITS): Promise<boolean> {
    const now = new Date();
    const hash = createHmac('sha256', this.key).update(what).digest('hex');
    const counts = await Promise.all(
      limits.map(({ name, windowMs }) => tx.query<{ failures: number }>(countMail(`${name}:${hash}`, now, windowMs))),
    );
    return counts.every(([row], at) => (row?.failures ?? 1) <= (limits[at]?.most ?? 0));
  }
}

/** Adds one, in a window that begins with the first. */
function countMail(key: string, now: Date, windowMs: number): Statement {
  return {
    name: 'mail_count',
    text: `insert into sign_in_failures as f (key, failures, window_started_at, expires_at) values ($1, 1, $2, $3)
           on conflict (key) do update set
             failures = case when f.expires_at <= $2 then 1 else least(f.failures + 1, 1000) end,
             window_started_at = case when f.expires_at <= $2 then $2 else f.window_started_at end,
             expires_at = case when f.expires_at <= $2 then $3 else f.expires_at end
           returning failures`,
    values: [key, now, new Date(now.getTime() + windowMs)],
  };
}
