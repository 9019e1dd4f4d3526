/**
 * Compares the configured encryption keys with the database when a process starts. Otherwise the first sign of a key
 * that was changed or misread (another `JWT_SECRET`, a dropped entry of `ENCRYPTION_KEYS`) would be a secret that
 * cannot be decrypted, in the middle of a tenant's work.
 *
 * The first process that encrypts with a key records a value that it has encrypted. A key without such a record, as an
 * older release leaves it, is tried on secrets of the features.
 */
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { KeysDatabase } from '../database/roles/keys-database';
import type { Row } from '../database/sql/statement';
import * as queries from './key-check.queries';
import { SAMPLED_COLUMNS, type SampledColumn } from './sampled-column';
import { SecretBoxError } from './secret-box';
import { DERIVED_KEY, SECRET_BOX, type SecretBox } from './secret-box.module';
import { WrongKeys } from './wrong-keys';

interface Sample extends Row {
  key: string[];
  encrypted: string;
}

@Injectable()
export class EncryptionKeyCheck implements OnModuleInit {
  constructor(
    private readonly database: KeysDatabase,
    @Inject(SECRET_BOX) private readonly box: SecretBox,
    @Inject(SAMPLED_COLUMNS) private readonly columns: readonly SampledColumn[],
  ) {}

  /**
   * Compares the keys, and records the encrypting one.
   * @throws WrongKeys that names the variable and the key to restore
   */
  async onModuleInit(): Promise<void> {
    const recorded = await this.recorded();
    const faults: string[] = [];
    for (const kid of new Set([...this.box.kids, ...recorded.keys()])) {
      const fault = this.box.kids.includes(kid) ? await this.faultOf(kid, recorded.get(kid)) : missing(kid);
      if (fault !== undefined) faults.push(fault);
    }
    if (faults.length === 0 && !recorded.has(this.box.currentKid)) {
      const fault = await this.record(this.box.currentKid);
      if (fault !== undefined) faults.push(fault);
    }
    if (faults.length === 0) return;
    // The process ends without a shutdown.
    await this.database.close();
    throw new WrongKeys(faults);
  }

  private async recorded(): Promise<Map<string, string>> {
    const rows = await this.database.query<{ kid: string; encrypted: string }>(queries.recordedKeys());
    return new Map(rows.map(({ kid, encrypted }) => [kid, encrypted]));
  }

  /** Of two processes that record a key at once, one succeeds; the other compares its key with the recorded one. */
  private async record(kid: string): Promise<string | undefined> {
    await this.database.write(queries.recordKey(kid, this.box.encrypt(kid, recordContext(kid)), new Date()));
    const encrypted = (await this.recorded()).get(kid);
    return encrypted === undefined || this.decrypts(encrypted, recordContext(kid)) ? undefined : changed(kid);
  }

  private async faultOf(kid: string, recorded: string | undefined): Promise<string | undefined> {
    if (recorded !== undefined) return this.decrypts(recorded, recordContext(kid)) ? undefined : changed(kid);
    for (const column of this.columns) {
      const [sample] = await this.database.query<Sample>(queries.sampleOf(column, kid));
      if (sample && !this.decrypts(sample.encrypted, column.contextOf(sample.key))) return changed(kid);
    }
    return undefined;
  }

  private decrypts(encrypted: string, context: string): boolean {
    try {
      this.box.decryptBytes(encrypted, context);
      return true;
    } catch (error) {
      if (error instanceof SecretBoxError) return false;
      throw error;
    }
  }
}

/** The context of a recorded value. */
export function recordContext(kid: string): string {
  return `encryption-key/${kid}`;
}

function changed(kid: string): string {
  const what =
    kid === DERIVED_KEY
      ? 'JWT_SECRET is not the one that has encrypted secrets in this database'
      : `ENCRYPTION_KEYS has another key '${kid}' than the one that has encrypted secrets in this database`;
  return `${what}: restore that one, or give up what it has encrypted with admin encryption-keys forget ${kid}`;
}

function missing(kid: string): string {
  return (
    `ENCRYPTION_KEYS has no key '${kid}', which has encrypted secrets in this database: restore it; it can be dropped after ` +
    `admin encryption-keys reencrypt, or given up with admin encryption-keys forget ${kid}`
  );
}
