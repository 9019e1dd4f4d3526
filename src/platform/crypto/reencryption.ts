/**
 * Re-encrypts stored texts with the current key, so that older keys can be dropped. The plain text and its row stay the
 * same.
 */
import { Inject, Injectable } from '@nestjs/common';
import type { Row, Statement } from '../database/sql/statement';
import { TenantDatabase, type TenantScope, type TenantTransaction } from '../database/tenant-database';
import { SecretBoxError } from './secret-box';
import { SECRET_BOX, type SecretBox } from './secret-box.module';

const ROWS_AT_ONCE = 100;
const MAX_NAMED = 100;

/** A row with encrypted texts, and the columns that identify it in its tenant. */
export interface EncryptedRow extends Row {
  key: string[];
  encrypted: (string | null)[];
}

/** A column of encrypted texts, as its owner registers it. */
export interface EncryptedColumn {
  /** The name that the operator reads, such as `stored responses`. */
  readonly what: string;
  /** {@link EncryptedRow}s of which some text does not begin with `current`, by key, locked. */
  lockOutdated(tenantId: string, current: string, limit: number, offset: number): Statement;
  replace(tenantId: string, row: EncryptedRow): Statement;
  /** The context that binds the texts to their row. */
  contextOf(tenantId: string, key: readonly string[]): string;
  /** Rows `{ kid, count }`: the number of texts that each key has encrypted. */
  countByKey(tenantId: string): Statement;
}

/** The result of a run. */
export interface Reencrypted {
  reencrypted: number;
  failed: number;
  /** The first texts that could not be decrypted, with the reason. */
  faults: string[];
}

@Injectable()
export class Reencryption {
  constructor(
    private readonly database: TenantDatabase,
    @Inject(SECRET_BOX) private readonly box: SecretBox,
  ) {}

  /** Counts a tenant's texts by the key that encrypted them. */
  async count(scope: TenantScope, texts: Pick<EncryptedColumn, 'countByKey'>): Promise<Map<string, number>> {
    const rows = await this.database.query<{ kid: string; count: number }>(scope, texts.countByKey(scope.tenantId));
    return new Map(rows.map(({ kid, count }) => [kid, count]));
  }

  /**
   * Re-encrypts a tenant's texts in small transactions. A text that cannot be decrypted stays as it is. The run can be
   * repeated at any time.
   */
  async reencrypt(scope: TenantScope, texts: EncryptedColumn): Promise<Reencrypted> {
    const total: Reencrypted = { reencrypted: 0, failed: 0, faults: [] };
    for (let more = true; more;) {
      more = await this.database.transaction(scope, async (tx) => {
        // A re-encrypted row no longer matches; a failed row comes first in the next batch.
        const rows = await tx.query<EncryptedRow>(
          texts.lockOutdated(scope.tenantId, this.box.currentPrefix, ROWS_AT_ONCE, total.failed),
        );
        for (const row of rows) this.reencryptRow(tx, texts, row, total);
        return rows.length === ROWS_AT_ONCE;
      });
    }
    return total;
  }

  private reencryptRow(tx: TenantTransaction, texts: EncryptedColumn, row: EncryptedRow, total: Reencrypted): void {
    const context = texts.contextOf(tx.tenantId, row.key);
    try {
      const encrypted = row.encrypted.map((text) =>
        text === null || this.box.isCurrent(text)
          ? text
          : this.box.encrypt(this.box.decryptBytes(text, context), context),
      );
      tx.defer(texts.replace(tx.tenantId, { key: row.key, encrypted: encrypted }));
      total.reencrypted++;
    } catch (error) {
      if (!(error instanceof SecretBoxError)) throw error;
      total.failed++;
      if (total.faults.length < MAX_NAMED) {
        total.faults.push(`${texts.what}: tenant ${tx.tenantId}, ${row.key.join(' ')}: ${error.message}`);
      }
    }
  }
}
