import type { Placements, RetentionRule, TenantTable } from '../platform/database/sql/tables';

export const API_KEYS_PLACEMENTS: Placements = { api_keys: 'distributed', api_key_secrets: 'distributed' };

/** Texts of rotated keys are deleted when their overlap has ended. */
export const API_KEYS_RETENTION: readonly RetentionRule[] = [
  { table: 'api_key_secrets', key: 'tenant_id, key_hash', column: 'expires_at' },
];

/** The archive shows the API's view of a key: no text of a key is stored, and its hash is not exported. */
export const API_KEYS_TENANT_TABLES: readonly TenantTable[] = [
  { table: 'api_key_secrets', key: { key_hash: 'bytea' }, archived: [], omitted: '*' },
  {
    table: 'api_keys',
    key: { id: 'uuid' },
    archived: [
      'id',
      'kind',
      'user_id',
      'name',
      'scopes',
      'hint',
      'created_by',
      'allowed_cidrs',
      'rate_limit',
      'version',
      'created_at',
      'updated_at',
      'expires_at',
      'last_used_at',
    ],
    omitted: ['notified_at'],
  },
];
