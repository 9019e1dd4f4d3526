import type { Placements, RetentionRule } from '../platform/database/sql/tables';

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
};

/** Sessions, tokens, reservations, networks and counters of failed sign-ins expire. */
export const AUTH_RETENTION: readonly RetentionRule[] = [
  { table: 'sessions', key: 'tenant_id, id', column: 'expires_at' },
  { table: 'sign_in_failures', key: 'key', column: 'expires_at' },
  { table: 'one_time_tokens', key: 'subject_id, token_hash', column: 'expires_at' },
  { table: 'second_factor_challenges', key: 'user_id, token_hash', column: 'expires_at' },
  { table: 'address_reservations', key: 'email_key, user_id', column: 'expires_at' },
  { table: 'known_networks', key: 'user_id, network_hash', column: 'expires_at' },
];
