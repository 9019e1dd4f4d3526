/** Re-encrypts the secrets of authenticator apps. They belong to a person, not to a tenant. */
import { Inject, Injectable } from '@nestjs/common';
import type { Reencrypted } from '../../platform/crypto/reencryption';
import { SecretBoxError } from '../../platform/crypto/secret-box';
import { SECRET_BOX, type SecretBox } from '../../platform/crypto/secret-box.module';
import { SignInDatabase } from '../../platform/database/roles/sign-in-database';
import { totpContext } from './encrypted-secrets';
import * as queries from './second-factor.queries';

const PEOPLE_A_PAGE = 1_000;
const PEOPLE_AT_ONCE = 4;
const MOST_NAMED = 100;
const BEFORE_EVERYONE = '00000000-0000-0000-0000-000000000000';

@Injectable()
export class TotpReencryption {
  constructor(
    private readonly database: SignInDatabase,
    @Inject(SECRET_BOX) private readonly box: SecretBox,
  ) {}

  /** Counts the secrets by the key that encrypted them. */
  async count(): Promise<Map<string, number>> {
    const counts = new Map<string, number>();
    await this.forEveryone(async (userId) => {
      const [row] = await this.database.transaction({ userId }, (tx) =>
        tx.query<queries.TotpRow>(queries.findTotp(userId)),
      );
      const kid = row?.secret.split('.')[1];
      if (kid !== undefined) counts.set(kid, (counts.get(kid) ?? 0) + 1);
    });
    return counts;
  }

  /** Re-encrypts each outdated secret in a transaction of its own. One that cannot be decrypted stays as it is. */
  async reencrypt(): Promise<Reencrypted> {
    const total: Reencrypted = { resealed: 0, failed: 0, faults: [] };
    await this.forEveryone(async (userId) => {
      try {
        if (await this.reencryptOne(userId)) total.resealed++;
      } catch (error) {
        if (!(error instanceof SecretBoxError)) throw error;
        total.failed++;
        if (total.faults.length < MOST_NAMED) {
          total.faults.push(`authenticator apps: user ${userId}: ${error.message}`);
        }
      }
    });
    return total;
  }

  private reencryptOne(userId: string): Promise<boolean> {
    return this.database.transaction({ userId }, async (tx) => {
      const [row] = await tx.query<queries.TotpRow>(queries.lockTotp(userId));
      if (!row || this.box.isCurrent(row.secret)) return false;
      const context = totpContext(userId);
      const secret = this.box.encrypt(this.box.openBytes(row.secret, context), context);
      tx.defer(queries.replaceTotpSecret(userId, secret));
      return true;
    });
  }

  /** All people, not only the members of tenants: an account can be without a tenant. */
  private async forEveryone(work: (userId: string) => Promise<void>): Promise<void> {
    for (let after: string | undefined = BEFORE_EVERYONE; after !== undefined;) {
      const statement = queries.listPeople(after, PEOPLE_A_PAGE);
      const page: { id: string }[] = await this.database.transaction({}, (tx) => tx.query<{ id: string }>(statement));
      for (let at = 0; at < page.length; at += PEOPLE_AT_ONCE) {
        await Promise.all(page.slice(at, at + PEOPLE_AT_ONCE).map(({ id }) => work(id)));
      }
      after = page.length < PEOPLE_A_PAGE ? undefined : page.at(-1)?.id;
    }
  }
}
