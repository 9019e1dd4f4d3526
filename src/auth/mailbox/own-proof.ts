import { Injectable } from '@nestjs/common';
import { SignInDatabase } from '../../platform/database/roles/sign-in-database';
import { Unauthorized } from '../../platform/errors';
import type { Person } from '../../platform/http/requests/caller';
import { User } from '../../users/user.entity';
import type { Client } from '../proofs/proof';
import { verifyPassword } from '../sign-in/passwords';
import { SignInLimits } from '../sign-in/sign-in-limits';

/** The person's proof in addition to a token of a mail: a live session, or the current password. */
@Injectable()
export class OwnProof {
  constructor(
    private readonly database: SignInDatabase,
    private readonly limits: SignInLimits,
  ) {}

  /** @throws Unauthorized without either; RateLimited after too many wrong passwords */
  async require(
    userId: string,
    person: Person | undefined,
    password: string | undefined,
    client: Client,
  ): Promise<void> {
    if (person?.userId === userId) return;
    if (password === undefined) throw new Unauthorized('Sign in, or send the current password.');
    const user = await this.database.transaction({ userId }, (tx) => tx.repository(User).findOneBy({ id: userId }));
    if (!user || !(await this.matches(user, password, client))) throw new Unauthorized('The password is wrong.');
  }

  /** Whether the password is the user's, under the limits of its account. @throws RateLimited */
  async matches(user: User, password: string, client: Client): Promise<boolean> {
    const attempt = { email: user.email, network: client.network, userId: user.id };
    const matched = await this.limits.guard(attempt, async () =>
      (await verifyPassword(user.passwordHash, password)) ? true : undefined,
    );
    return matched === true;
  }
}
