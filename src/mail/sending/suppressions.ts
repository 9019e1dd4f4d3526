import { createHmac, hkdfSync } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { Config, required } from '../../platform/config/config';
import { MailDatabase } from '../../platform/database/roles/mail-database';
import { findSuppression, liftSuppression, suppress } from './mail.queries';

const DAY_MS = 24 * 60 * 60 * 1_000;
const KEPT_MS = 30 * DAY_MS;

/**
 * Addresses that bounced: they get no mail for a while, since a server that keeps sending to missing mailboxes gets a
 * bad reputation. They are stored as keyed hashes.
 */
@Injectable()
export class Suppressions {
  private readonly key: Buffer;

  constructor(
    config: Config,
    private readonly database: MailDatabase,
  ) {
    this.key = Buffer.from(hkdfSync('sha256', required(config, 'JWT_SECRET'), '', 'mail-suppression', 32));
  }

  async isSuppressed(address: string): Promise<boolean> {
    const rows = await this.database.transaction((tx) => tx.query(findSuppression(this.hash(address), new Date())));
    return rows.length > 0;
  }

  async add(address: string, reason: string): Promise<void> {
    const now = new Date();
    const until = new Date(now.getTime() + KEPT_MS);
    await this.database.transaction((tx) => tx.query(suppress(this.hash(address), reason, now, until)));
  }

  /** @returns whether it was suppressed */
  async lift(address: string): Promise<boolean> {
    return (await this.database.transaction((tx) => tx.query(liftSuppression(this.hash(address))))).length > 0;
  }

  private hash(address: string): Buffer {
    return createHmac('sha256', this.key).update(address.normalize('NFC').toLowerCase()).digest();
  }
}
