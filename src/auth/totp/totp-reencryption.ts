/** Re-encrypts the secrets of authenticator apps. They belong to a person, not to a tenant. */
import { Inject, Injectable } from '@nestjs/common';
import type { Reencrypted } from '../../platform/crypto/reencryption';
import { SecretBoxError } from '../../platform/crypto/secret-box';
import { SECRET_BOX, type SecretBox } from '../../platform/crypto/secret-box.module';
import { KeysDatabase } from '../../platform/database/roles/keys-database';
import { SignInDatabase } from '../../platform/database/roles/sign-in-database';
import { totpContext } from './encrypted-secrets';
import * as queries from './second-factor.queries';

const SECRETS_A_PAGE = 1_000;
const PEOPLE_AT_ONCE = 4;
const MAX_NAMED = 100;
const BEFORE_EVERYONE = '00000000-0000-0000-0000-000000000000';

/**
 * Finds the secrets of all persons in pages, as the role that compares keys, and opens a transaction for those alone
 * that are outdated: only a transaction that is bound to the person may write one.
 */
@Injectable()
export class TotpReencryption {
  constructor(
    private readonly database: SignInDatabase,
    private readonly keys: KeysDatabase,
    @Inject(SECRET_BOX) private readonly box: SecretBox,
  ) {}

  /** Counts the secrets by the key that encrypted them. */
  async count(): Promise<Map<string, number>> {
    const rows = await this.keys.query<{ kid: string; count: number }>(queries.countSecretsByKey());
    return new Map(rows.map(({ kid, count }) => [kid, count]));
  }

  /** Re-encrypts each outdated secret in a transaction of its own. One that cannot be decrypted stays as it is. */
  async reencrypt(): Promise<Reencrypted> {
    const total: Reencrypted = { reencrypted: 0, failed: 0, faults: [] };
    for (let after: string | undefined = BEFORE_EVERYONE; after !== undefined;) {
      const page: queries.SecretRow[] = await this.keys.query(queries.listSecrets(after, SECRETS_A_PAGE));
      const outdated = page.filter(({ secret }) => !this.box.isCurrent(secret));
      for (let at = 0; at < outdated.length; at += PEOPLE_AT_ONCE) {
        const people = outdated.slice(at, at + PEOPLE_AT_ONCE);
        await Promise.all(people.map(({ user_id: userId }) => this.attempt(userId, total)));
      }
      after = page.length < SECRETS_A_PAGE ? undefined : page.at(-1)?.user_id;
    }
    return total;
  }

  private async attempt(userId: string, total: Reencrypted): Promise<void> {
    try {
      if (await this.reencryptOne(userId)) total.reencrypted++;
    } catch (error) {
      if (!(error instanceof SecretBoxError)) throw error;
      total.failed++;
      if (total.faults.length < MAX_NAMED) {
        total.faults.push(`authenticator apps: user ${userId}: ${error.message}`);
      }
    }
  }

  private reencryptOne(userId: string): Promise<boolean> {
    return this.database.transaction({ userId }, async (tx) => {
      const [row] = await tx.query<queries.TotpRow>(queries.lockTotp(userId));
      if (!row || this.box.isCurrent(row.secret)) return false;
      const context = totpContext(userId);
      const secret = this.box.encrypt(this.box.decryptBytes(row.secret, context), context);
      tx.defer(queries.replaceTotpSecret(userId, secret));
      return true;
    });
  }
}
