import type { Placements, RetentionRule } from '../platform/database/sql/tables';

export const API_KEYS_PLACEMENTS: Placements = { api_keys: 'distributed', api_key_secrets: 'distributed' };

/** Texts of rotated keys go when their overlap has ended. */
export const API_KEYS_RETENTION: readonly RetentionRule[] = [
  { table: 'api_key_secrets', key: 'tenant_id, key_hash', column: 'expires_at' },
];
