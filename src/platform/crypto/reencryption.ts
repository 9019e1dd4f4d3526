/**
 * Sealing anew, under the key that seals now, of what older keys sealed: then those can be dropped. What is sealed stays
 * what it was, and so does its place.
 */
import { Inject, Injectable } from '@nestjs/common';
import type { Row, Statement } from '../database/sql/statement';
import { TenantDatabase, type TenantScope, type TenantTransaction } from '../database/tenant-database';
import { SecretBoxError } from './secret-box';
import { SECRET_BOX, type SecretBox } from './secret-box.module';

const ROWS_AT_ONCE = 100;
const MOST_NAMED = 100;

/** A row with sealed texts, and the columns that name it in its tenant. */
export interface EncryptedRow extends Row {
  key: string[];
  sealed: (string | null)[];
}

/** A table that keeps sealed texts, as its owner tells of it. */
export interface EncryptedColumn {
  /** For people, such as `webhook secrets`. */
  readonly what: string;
  /** {@link EncryptedRow}s of which some text does not begin with `current`, by key, locked. */
  lockOutdated(tenantId: string, current: string, limit: number, offset: number): Statement;
  replace(tenantId: string, row: EncryptedRow): Statement;
  /** What the texts of a row are bound to. */
  contextOf(tenantId: string, key: readonly string[]): string;
  /** Rows `{ kid, count }`: how many texts each key has sealed. */
  countByKey(tenantId: string): Statement;
}

/** What came of it. */
export interface Reencrypted {
  resealed: number;
  failed: number;
  /** The first of those that could not be opened, with why. */
  faults: string[];
}

@Injectable()
export class Reencryption {
  constructor(
    private readonly database: TenantDatabase,
    @Inject(SECRET_BOX) private readonly box: SecretBox,
  ) {}

  /** How many of a tenant's texts each key has sealed. */
  async count(scope: TenantScope, texts: EncryptedColumn): Promise<Map<string, number>> {
    const rows = await this.database.query<{ kid: string; count: number }>(scope, texts.countByKey(scope.tenantId));
    return new Map(rows.map(({ kid, count }) => [kid, count]));
  }

  /** Seals a tenant's texts anew, in small transactions; what cannot be opened stays as it is. Can be run again at any time. */
  async reencrypt(scope: TenantScope, texts: EncryptedColumn): Promise<Reencrypted> {
    const total: Reencrypted = { resealed: 0, failed: 0, faults: [] };
    for (let more = true; more;) {
      more = await this.database.transaction(scope, async (tx) => {
        // What is sealed anew is not found again; what failed is, first.
        const rows = await tx.query<EncryptedRow>(
          texts.lockOutdated(scope.tenantId, this.box.currentPrefix, ROWS_AT_ONCE, total.failed),
        );
        for (const row of rows) this.resealRow(tx, texts, row, total);
        return rows.length === ROWS_AT_ONCE;
      });
    }
    return total;
  }

  private resealRow(tx: TenantTransaction, texts: EncryptedColumn, row: EncryptedRow, total: Reencrypted): void {
    const context = texts.contextOf(tx.tenantId, row.key);
    try {
      const sealed = row.sealed.map((text) =>
        text === null || this.box.isCurrent(text) ? text : this.box.encrypt(this.box.openBytes(text, context), context),
      );
      tx.defer(texts.replace(tx.tenantId, { key: row.key, sealed }));
      total.resealed++;
    } catch (error) {
      if (!(error instanceof SecretBoxError)) throw error;
      total.failed++;
      if (total.faults.length < MOST_NAMED) {
        total.faults.push(`${texts.what}: tenant ${tx.tenantId}, ${row.key.join(' ')}: ${error.message}`);
      }
    }
  }
}
