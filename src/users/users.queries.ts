/** Users, for the sign-in role, which alone sees them. */
import type { Statement } from '../platform/database/sql/statement';

export function findEmails(ids: readonly string[]): Statement {
  return { name: 'users_emails', text: 'select id, email from users where id = any ($1::uuid[])', values: [ids] };
}

/** The user of an e-mail address, in whatever case. */
export function findUserId(email: string): Statement {
  return { name: 'users_find_id', text: 'select id from users where lower(email) = lower($1)', values: [email] };
}
