/** The data of a person for signing in, as an export shows it: no secret and no hash. */
import type { Statement } from '../../platform/database/sql/statement';

const KEPT = {
  authenticator_apps: `select created_at, confirmed_at from totp_factors where user_id = $1`,
  recovery_codes: `select position, created_at, used_at from recovery_codes where user_id = $1 order by position`,
  known_networks: `select expires_at from known_networks where user_id = $1 order by expires_at`,
  reserved_addresses: `select email_key as email, expires_at from address_reservations where user_id = $1`,
  mail_tokens: `select kind, created_at, expires_at, spent_at from one_time_tokens where subject_id = $1
                 order by created_at`,
  idempotency_keys: `select key, created_at, expires_at from account_idempotency_keys where user_id = $1
                      order by created_at`,
} as const;

/** Each kind of data with the statement that reads it. */
export function personalDataOf(userId: string): [string, Statement][] {
  return Object.entries(KEPT).map(([kind, text]) => [kind, { name: `export_${kind}`, text, values: [userId] }]);
}
