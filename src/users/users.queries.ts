/** Users, for the sign-in role, the only one that sees them. */
import type { Row, Statement } from '../platform/database/sql/statement';
import { emailKey } from '../platform/net/email-key';

/** An account in the operator's list. */
export interface ListedUser extends Row {
  id: string;
  email: string;
  created_at: Date;
  email_verified_at: Date | null;
  erase_at: Date | null;
  factor_reset_at: Date | null;
}

/** A page of accounts after an id, oldest first. */
export function listUsers(after: string, limit: number): Statement {
  return {
    name: 'users_list',
    text: `select id, email, created_at, email_verified_at, erase_at, factor_reset_at from users
            where id > $1 order by id limit $2`,
    values: [after, limit],
  };
}

/** The id of the user of an address; a user without a key yet is found by the address itself. */
export function findUserId(email: string): Statement {
  return {
    name: 'users_find_id',
    text: `select id from users where email_key = $1 or (email_key is null and lower(email) = lower($2))
            order by email_key limit 1`,
    values: [emailKey(email), email],
  };
}

/** A row if the account is still as it was read: the same password, and as much to be erased as before. */
export function findUnchanged(id: string, passwordHash: string, eraseAt: Date | null): Statement {
  return {
    name: 'user_find_unchanged',
    text: 'select 1 from users where id = $1 and password_hash = $2 and erase_at is not distinct from $3',
    values: [id, passwordHash, eraseAt],
  };
}

/** A row if the account is not being deleted; a deletion waits until the transaction ends. */
export function lockStaying(id: string): Statement {
  return {
    name: 'user_lock_staying',
    text: 'select 1 from users where id = $1 and erase_at is null for share',
    values: [id],
  };
}

/** The person with a reservation of an address, after a change of it. */
export function findReservation(email: string, now: Date): Statement {
  return {
    name: 'address_reservation_find',
    text: 'select user_id from address_reservations where email_key = $1 and expires_at > $2 limit 1',
    values: [emailKey(email), now],
  };
}

export function reserveAddress(email: string, userId: string, until: Date): Statement {
  return {
    name: 'address_reserve',
    text: `insert into address_reservations (email_key, user_id, expires_at) values ($1, $2, $3)
           on conflict (email_key, user_id) do update set expires_at = excluded.expires_at`,
    values: [emailKey(email), userId, until],
  };
}
