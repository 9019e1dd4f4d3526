import type { Placements, RetentionRule } from '../database/sql/tables';

/** The tables that the platform itself writes. */
export const PLATFORM_PLACEMENTS: Placements = {
  idempotency_keys: 'distributed',
  events: 'distributed',
  outbox: 'distributed',
  tenant_auth_state: 'distributed',
  audit_log: 'distributed',
  audit_personal: 'distributed',
  audit_pending: 'distributed',
  audit_trees: 'distributed',
  audit_leaves: 'distributed',
  audit_nodes: 'distributed',
  audit_refusals: 'distributed',
  audit_erasures: 'distributed',
  mail_outbox: 'distributed',
  audit_keys: 'local',
  encryption_keys: 'local',
  mail_suppressions: 'local',
  migrations: 'local',
};

const DAY_MS = 24 * 60 * 60 * 1_000;

/** Stored responses, suppressed addresses and entries of the audit log expire. */
export const PLATFORM_RETENTION: readonly RetentionRule[] = [
  { table: 'idempotency_keys', key: 'tenant_id, caller, key', column: 'expires_at' },
  { table: 'mail_suppressions', key: 'address_hash', column: 'expires_at' },
  {
    table: 'audit_log',
    key: 'tenant_id, id',
    column: 'occurred_at',
    period: (config) => config.AUDIT_RETENTION_DAYS * DAY_MS,
    dependents: [{ table: 'audit_personal', key: 'entry_id, user_id', id: 'entry_id' }],
  },
];
