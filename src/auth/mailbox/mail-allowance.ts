import { createHmac, hkdfSync } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { Config, required } from '../../platform/config/config';
import type { Statement } from '../../platform/database/sql/statement';
import type { Transaction } from '../../platform/database/transaction';
import { emailKey } from '../../platform/net/email-key';

const HOUR_MS = 60 * 60_000;
const LIMITS = [
  { name: 'mails-hour', windowMs: HOUR_MS, most: 5 },
  { name: 'mails-day', windowMs: 24 * HOUR_MS, most: 20 },
];

/** Counts the mails that callers without a session cause, by address: all kinds together. */
@Injectable()
export class MailAllowance {
  private readonly key: Buffer;

  constructor(config: Config) {
    this.key = Buffer.from(hkdfSync('sha256', required(config, 'JWT_SECRET'), '', 'mail-allowance', 32));
  }

  /** Whether one more mail may go to the address; counts it. Runs in a transaction of the sign-in role. */
  async take(tx: Transaction, email: string): Promise<boolean> {
    const now = new Date();
    const address = createHmac('sha256', this.key).update(emailKey(email)).digest('hex');
    const counts = await Promise.all(
      LIMITS.map(({ name, windowMs }) =>
        tx.query<{ failures: number }>(countMail(`${name}:${address}`, now, windowMs)),
      ),
    );
    return counts.every(([row], at) => (row?.failures ?? 1) <= (LIMITS[at]?.most ?? 0));
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
