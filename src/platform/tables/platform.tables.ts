import type { Placements, RetentionRule, TenantTable } from '../database/sql/tables';

/** The tables that the platform itself writes. */
export const PLATFORM_PLACEMENTS: Placements = {
  idempotency_keys: 'distributed',
  events: 'distributed',
  outbox: 'distributed',
  tenant_auth_state: 'distributed',
  tenant_usage: 'distributed',
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

/**
 * The platform's tables of a tenant. Entries of the audit log are deleted before its tree, so that a partly erased log
 * can still be verified.
 */
export const PLATFORM_TENANT_TABLES: readonly TenantTable[] = [
  { table: 'idempotency_keys', key: { caller: 'text', key: 'text' }, archived: [], omitted: '*' },
  {
    table: 'tenant_usage',
    key: { day: 'integer', name: 'text' },
    archived: ['day', 'name', 'amount'],
    omitted: [],
    erasedByEraser: true,
  },
  { table: 'outbox', key: { position: 'bigint' }, archived: [], omitted: '*' },
  {
    table: 'events',
    key: { id: 'uuid' },
    archived: ['id', 'type', 'aggregate_id', 'sequence', 'event_id', 'data', 'created_at'],
    omitted: ['traceparent', 'filtered_count'],
  },
  { table: 'tenant_auth_state', key: { user_id: 'uuid' }, archived: [], omitted: '*' },
  { table: 'mail_outbox', key: { id: 'uuid' }, archived: [], omitted: '*', erasedByEraser: true },
  {
    table: 'audit_refusals',
    key: { hour: 'timestamptz', key: 'bytea' },
    archived: [],
    omitted: '*',
    erasedByEraser: true,
  },
  { table: 'audit_erasures', key: { user_id: 'uuid' }, archived: [], omitted: '*', erasedByEraser: true },
  {
    table: 'audit_personal',
    key: { entry_id: 'uuid', user_id: 'uuid' },
    archived: ['entry_id', 'user_id', 'data', 'salts'],
    omitted: [],
    erasedByEraser: true,
  },
  {
    table: 'audit_log',
    key: { id: 'uuid' },
    archived: [
      'id',
      'occurred_at',
      'actor_type',
      'actor_id',
      'actor_via',
      'action',
      'target_type',
      'target_id',
      'changes',
      'request_id',
      'session_id',
      'outcome',
      'count',
      'canonical',
    ],
    omitted: [],
    erasedByEraser: true,
  },
  { table: 'audit_pending', key: { entry_id: 'uuid' }, archived: [], omitted: '*', erasedByEraser: true },
  {
    table: 'audit_leaves',
    key: { leaf_index: 'bigint' },
    archived: ['leaf_index', 'entry_id', 'hash'],
    omitted: [],
    erasedByEraser: true,
  },
  {
    table: 'audit_nodes',
    key: { level: 'smallint', node_index: 'bigint' },
    archived: [],
    omitted: '*',
    erasedByEraser: true,
  },
  {
    table: 'audit_trees',
    key: {},
    archived: ['size', 'root_hash', 'signed_at', 'key_id', 'note'],
    omitted: ['announced_at', 'announced_size'],
    erasedByEraser: true,
  },
];
