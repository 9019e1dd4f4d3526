import { Injectable } from '@nestjs/common';
import { SignInDatabase } from '../platform/database/roles/sign-in-database';
import { NO_TENANT } from '../platform/database/tenant-database';
import type { Transaction } from '../platform/database/transaction';
import { User } from './user.entity';
import { findReservation, findUnchanged, findUserId, type ListedUser, listUsers, lockStaying } from './users.queries';

/** Persons, found by id or by address. */
@Injectable()
export class Users {
  constructor(private readonly database: SignInDatabase) {}

  /** The user of an address, in a transaction without a subject. */
  findByEmail(email: string): Promise<User | null> {
    return this.database.transaction({}, (tx) => this.findByEmailIn(tx, email));
  }

  async findByEmailIn(tx: Transaction, email: string): Promise<User | null> {
    const [found] = await tx.query<{ id: string }>(findUserId(email));
    return found ? tx.repository(User).findOneBy({ id: found.id }) : null;
  }

  get(id: string): Promise<User> {
    return this.database.transaction({ userId: id }, (tx) => tx.repository(User).findOneByOrFail({ id }));
  }

  /** A page of accounts for the operator, oldest first. */
  list(after: string | undefined, limit: number): Promise<ListedUser[]> {
    return this.database.transaction({}, (tx) => tx.query<ListedUser>(listUsers(after ?? NO_TENANT, limit)));
  }

  /** Whether the account still has the password that was read, and its erasure neither began nor was cancelled. */
  async isUnchanged(tx: Transaction, { id, passwordHash, eraseAt }: User): Promise<boolean> {
    const found = await tx.query(findUnchanged(id, passwordHash, eraseAt));
    return found.length > 0;
  }

  /** Whether the account is not being deleted; a deletion waits until the transaction ends. */
  async lockStaying(tx: Transaction, id: string): Promise<boolean> {
    const found = await tx.query(lockStaying(id));
    return found.length > 0;
  }

  /** Whether an address belongs to a person, or is reserved for another person than the given one. */
  async isTaken(tx: Transaction, email: string, exceptUserId?: string): Promise<boolean> {
    const [found] = await tx.query<{ id: string }>(findUserId(email));
    if (found && found.id !== exceptUserId) return true;
    const [reserved] = await tx.query<{ user_id: string }>(findReservation(email, new Date()));
    return reserved !== undefined && reserved.user_id !== exceptUserId;
  }
}
