import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import type { Logger } from 'pino';
import { SignInDatabase } from '../platform/database/roles/sign-in-database';
import { isUniqueViolation } from '../platform/database/sql/errors';
import type { Row, Statement } from '../platform/database/sql/statement';
import { LOGGER } from '../platform/observability/logger.module';
import { emailKey } from '../platform/net/email-key';

const USERS_AT_ONCE = 200;
const FIRST = '00000000-0000-0000-0000-000000000000';

interface UserWithoutKey extends Row {
  id: string;
  email: string;
}

/**
 * Fills in the keys of addresses that the previous release has written, in the background of a start: one user at a
 * time, so that no lock is held. Two accounts whose addresses have one key collide: the later one gets none, and the
 * log names it for the operator. Without a key, the account is found by the address itself.
 */
@Injectable()
export class EmailKeyBackfill implements OnApplicationBootstrap, OnModuleDestroy {
  private stopped = false;

  constructor(
    private readonly database: SignInDatabase,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  onApplicationBootstrap(): void {
    this.run().catch((error: Error) => {
      this.logger.warn({ reason: error.message }, 'keys of addresses could not be filled in; the next start continues');
    });
  }

  onModuleDestroy(): void {
    this.stopped = true;
  }

  /** Processes all users without a key once. @returns the ids of those that collide with another account */
  async run(): Promise<string[]> {
    const collisions: string[] = [];
    for (let after = FIRST; !this.stopped;) {
      const users = await this.database.transaction({}, (tx) =>
        tx.query<UserWithoutKey>(findWithoutKey(after, USERS_AT_ONCE)),
      );
      for (const user of users) if (!(await this.fill(user))) collisions.push(user.id);
      const last = users.at(-1);
      if (!last) break;
      after = last.id;
    }
    if (collisions.length > 0) {
      this.logger.error(
        { user_ids: collisions.slice(0, 100) },
        'accounts have an address that is one with another account',
      );
    }
    return collisions;
  }

  private async fill({ id, email }: UserWithoutKey): Promise<boolean> {
    try {
      await this.database.transaction({ userId: id }, (tx) => tx.query(fillKey(id, emailKey(email))));
      return true;
    } catch (error) {
      if (isUniqueViolation(error, 'users_email_key_unique')) return false;
      throw error;
    }
  }
}

function findWithoutKey(after: string, limit: number): Statement {
  return {
    name: 'users_without_key',
    text: 'select id, email from users where email_key is null and id > $1 order by id limit $2',
    values: [after, limit],
  };
}

function fillKey(id: string, key: string): Statement {
  return {
    name: 'user_fill_key',
    text: 'update users set email_key = $2 where id = $1 and email_key is null',
    values: [id, key],
  };
}
