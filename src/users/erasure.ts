import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import { SignInDatabase } from '../platform/database/roles/sign-in-database';
import type { Row, Statement } from '../platform/database/sql/statement';
import type { PersonTable } from '../platform/database/sql/tables';
import { Hooks } from '../platform/hooks/hooks';
import { LOGGER } from '../platform/observability/logger.module';

/** Injection token of every {@link PersonTable}, in the order of deletion. */
export const PERSON_TABLES = Symbol('PERSON_TABLES');

const PERSONS_AT_ONCE = 100;

/**
 * Erases the persons whose time has come, each in a transaction: features delete their rows of a person by the hook
 * `userErased`, then the person's own rows are deleted, the account last. Two concurrent processes erase each person
 * once.
 */
@Injectable()
export class ErasureJob {
  constructor(
    private readonly database: SignInDatabase,
    private readonly hooks: Hooks,
    @Inject(PERSON_TABLES) private readonly tables: readonly PersonTable[],
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** Erases due persons, a bounded number of them. Never throws. @returns the number */
  async run(now = new Date()): Promise<number> {
    try {
      const due = await this.database.transaction({}, (tx) => tx.query<{ id: string } & Row>(findDue(now)));
      let erased = 0;
      for (const { id } of due) erased += await this.erase(id);
      return erased;
    } catch (error) {
      this.logger.warn({ reason: (error as Error).message }, 'accounts could not be erased; the next run continues');
      return 0;
    }
  }

  /** One account that cannot be erased holds up none of the others. @returns how many it erased */
  private async erase(userId: string): Promise<0 | 1> {
    try {
      return await this.database.transaction({ userId }, async (tx) => {
        const [locked] = await tx.query(lockDue(userId));
        if (!locked) return 0;
        await this.hooks.userErased.run(tx, { userId, tenantIds: [] });
        for (const { table, column } of this.tables) await tx.query(deleteOf(table, column, userId));
        tx.afterCommit(() => this.logger.info({ user_id: userId }, 'an account was erased'));
        return 1;
      });
    } catch (error) {
      this.logger.error({ user_id: userId, reason: (error as Error).message }, 'an account could not be erased');
      return 0;
    }
  }
}

function findDue(now: Date): Statement {
  return {
    name: 'users_due_for_erasure',
    text: 'select id from users where erase_at <= $1 order by erase_at limit $2',
    values: [now, PERSONS_AT_ONCE],
  };
}

/** Locks a person, unless another process is at it or the account was restored. */
function lockDue(userId: string): Statement {
  return {
    name: 'user_lock_for_erasure',
    text: 'select 1 from users where id = $1 and erase_at is not null for update skip locked',
    values: [userId],
  };
}

function deleteOf(table: string, column: string, userId: string): Statement {
  return { name: `erase_${table}`, text: `delete from ${table} where ${column} = $1`, values: [userId] };
}
