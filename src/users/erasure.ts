import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import type { Logger } from 'pino';
import { SignInDatabase } from '../platform/database/roles/sign-in-database';
import type { Row, Statement } from '../platform/database/sql/statement';
import { Hooks } from '../platform/hooks/hooks';
import { LOGGER } from '../platform/observability/logger.module';

const EVERY_MS = 60 * 60_000;
const PERSONS_AT_ONCE = 100;
/** What is kept of a person beside the account, by the column that names the person; the account goes last. */
const KEPT_OF_A_PERSON = [
  { table: 'sessions', column: 'user_id' },
  { table: 'one_time_tokens', column: 'subject_id' },
  { table: 'known_networks', column: 'user_id' },
  { table: 'address_reservations', column: 'user_id' },
  { table: 'users', column: 'id' },
];

/**
 * Erases the persons whose time has come, each in a transaction: what features keep of a person goes by the hook
 * `userErased`, then the account. Two processes at once erase each person once.
 */
@Injectable()
export class ErasureJob implements OnApplicationBootstrap, OnModuleDestroy {
  private timer?: NodeJS.Timeout;

  constructor(
    private readonly database: SignInDatabase,
    private readonly hooks: Hooks,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => {
      this.run(new Date()).catch((error: Error) => {
        this.logger.warn({ reason: error.message }, 'accounts could not be erased; the next run goes on');
      });
    }, EVERY_MS).unref();
  }

  onModuleDestroy(): void {
    clearInterval(this.timer);
  }

  /** Erases those who are due, a bounded number of them. @returns how many */
  async run(now: Date): Promise<number> {
    const due = await this.database.transaction({}, (tx) => tx.query<{ id: string } & Row>(findDue(now)));
    for (const { id } of due) await this.erase(id);
    return due.length;
  }

  private erase(userId: string): Promise<void> {
    return this.database.transaction({ userId }, async (tx) => {
      const [locked] = await tx.query(lockDue(userId));
      if (!locked) return;
      await this.hooks.userErased.run(tx, { userId, tenantIds: [] });
      for (const { table, column } of KEPT_OF_A_PERSON) await tx.query(deleteOf(table, column, userId));
    });
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
