import type { PersonTable, Placements, RetentionRule, TenantTable } from '../platform/database/sql/tables';

export const AUTH_PLACEMENTS: Placements = {
  sessions: 'distributed',
  refresh_tokens: 'distributed',
  sign_in_failures: 'local',
  one_time_tokens: 'local',
  address_reservations: 'local',
  known_networks: 'local',
  totp_factors: 'local',
  recovery_codes: 'local',
  second_factor_challenges: 'local',
  account_idempotency_keys: 'local',
};

/** Sessions, tokens, reservations, networks and counters of failed sign-ins expire. */
export const AUTH_RETENTION: readonly RetentionRule[] = [
  { table: 'sessions', key: 'tenant_id, id', column: 'expires_at' },
  { table: 'sign_in_failures', key: 'key', column: 'expires_at' },
  { table: 'one_time_tokens', key: 'subject_id, token_hash', column: 'expires_at' },
  { table: 'second_factor_challenges', key: 'user_id, token_hash', column: 'expires_at' },
  { table: 'account_idempotency_keys', key: 'user_id, key', column: 'expires_at' },
  { table: 'address_reservations', key: 'email_key, user_id', column: 'expires_at' },
  { table: 'known_networks', key: 'user_id, network_hash', column: 'expires_at' },
];

/** Of a member's sessions the archive shows times; networks and programs are the person's. */
export const AUTH_TENANT_TABLES: readonly TenantTable[] = [
  { table: 'refresh_tokens', key: { token_hash: 'bytea' }, archived: [], omitted: '*' },
  {
    table: 'sessions',
    key: { id: 'uuid' },
    archived: ['id', 'user_id', 'created_at', 'expires_at', 'revoked_at', 'amr', 'acr', 'last_seen_at'],
    omitted: ['kind', 'family_id', 'signed_in_at', 'auth_time', 'connection_id', 'network', 'user_agent'],
  },
];

/** The rows about a person's sign-in. */
export const AUTH_PERSON_TABLES: readonly PersonTable[] = [
  { table: 'sessions', column: 'user_id' },
  { table: 'one_time_tokens', column: 'subject_id' },
  { table: 'second_factor_challenges', column: 'user_id' },
  { table: 'account_idempotency_keys', column: 'user_id' },
  { table: 'recovery_codes', column: 'user_id' },
  { table: 'totp_factors', column: 'user_id' },
  { table: 'known_networks', column: 'user_id' },
  { table: 'address_reservations', column: 'user_id' },
];
