import type { Placements, RetentionRule } from '../platform/database/sql/tables';

export const AUTH_PLACEMENTS: Placements = {
  sessions: 'distributed',
  refresh_tokens: 'distributed',
  sign_in_failures: 'local',
  address_reservations: 'local',
  known_networks: 'local',
};

/** Sessions and counters of failed sign-ins expire. */
export const AUTH_RETENTION: readonly RetentionRule[] = [
  { table: 'sessions', key: 'tenant_id, id', column: 'expires_at' },
  { table: 'sign_in_failures', key: 'key', column: 'expires_at' },
];
