import { createPublicKey, type KeyObject, randomBytes } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import { SecretBoxError } from '../../platform/crypto/secret-box';
import { SECRET_BOX, type SecretBox } from '../../platform/crypto/secret-box.module';
import { AuditDatabase } from '../../platform/database/roles/audit-database';
import type { Transaction } from '../../platform/database/transaction';
import { newTimedId } from '../../platform/ids/ids';
import { LOGGER } from '../../platform/observability/logger.module';
import { privateKeyOf } from '../checkpoint';

/** The interval of looking up a key, so that every worker soon uses a new one; milliseconds. */
const REFRESH_MS = 60_000;
/** Any number, the same in every release: of two workers without a key one makes it. */
const MAKING_LOCK = 7_263_540_121;

/** The key that signs the heads of all logs. */
export interface SigningKey {
  id: string;
  publicKey: Buffer;
  privateKey: KeyObject;
}

interface KeyRow extends Record<string, unknown> {
  id: string;
  public_key: Buffer;
  private_key: string;
}

/** The context of the encrypted half of a key. @public for scripts/restore-drill.mjs */
function contextOf(id: string): string {
  return `audit-key/${id}`;
}

/** Returns the newest signing key, and makes the first one. The database stores its private half encrypted. */
@Injectable()
export class SigningKeys {
  private known?: { key: SigningKey; until: number };

  constructor(
    private readonly database: AuditDatabase,
    @Inject(SECRET_BOX) private readonly box: SecretBox,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  async current(): Promise<SigningKey> {
    if (this.known && performance.now() < this.known.until) return this.known.key;
    const key = await this.database.acrossTenants(async (tx) => {
      await tx.query({ name: 'audit_key_lock', text: 'select pg_advisory_xact_lock($1)', values: [MAKING_LOCK] });
      return (await this.newest(tx)) ?? this.make(tx);
    });
    this.known = { key, until: performance.now() + REFRESH_MS };
    return key;
  }

  private async newest(tx: Transaction): Promise<SigningKey | undefined> {
    const [row] = await tx.query<KeyRow>({
      name: 'audit_key_newest',
      text: 'select id, public_key, private_key from audit_keys order by id desc limit 1',
      values: [],
    });
    if (!row) return undefined;
    try {
      const seed = this.box.decryptBytes(row.private_key, contextOf(row.id));
      return { id: row.id, publicKey: row.public_key, privateKey: privateKeyOf(seed) };
    } catch (error) {
      if (!(error instanceof SecretBoxError)) throw error;
      // Its encryption key was dropped: earlier signatures stay valid, and a new key signs from now on.
      this.logger.warn({ key_id: row.id, reason: error.message }, 'a signing key of audit logs cannot be decrypted');
      return undefined;
    }
  }

  private make(tx: Transaction): SigningKey {
    const seed = randomBytes(32);
    const privateKey = privateKeyOf(seed);
    const { x } = createPublicKey(privateKey).export({ format: 'jwk' });
    const publicKey = Buffer.from(x as string, 'base64url');
    const { id, at } = newTimedId();
    tx.insert({
      name: 'audit_key_insert',
      text: 'insert into audit_keys (id, public_key, private_key, created_at) values ($1, $2, $3, $4)',
      values: [id, publicKey, this.box.encrypt(seed, contextOf(id)), at],
    });
    return { id, publicKey, privateKey };
  }
}
