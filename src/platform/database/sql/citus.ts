/** What Citus needs of statements; `migrate/distribute-tables.ts` distributes the tables. */
import type { Statement } from './statement';

/** How Citus stores a table. */
export type Placement = 'reference' | 'distributed' | 'local';

/** Every table of the schema `public`, referenced tables first. A test compares it with the schema. */
export const PLACEMENTS: Readonly<Record<string, Placement>> = {
  tenants: 'reference',
  users: 'reference',
  orders: 'distributed',
  order_items: 'distributed',
  order_history: 'distributed',
  idempotency_keys: 'distributed',
  memberships: 'distributed',
  sessions: 'distributed',
  refresh_tokens: 'distributed',
  events: 'distributed',
  outbox: 'distributed',
  webhook_event_types: 'distributed',
  webhook_endpoints: 'distributed',
  deliveries: 'distributed',
  delivery_attempts: 'distributed',
  tenant_auth_state: 'distributed',
  roles: 'distributed',
  invitations: 'distributed',
  api_keys: 'distributed',
  api_key_secrets: 'distributed',
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
  mail_suppressions: 'local',
  totp_factors: 'local',
  recovery_codes: 'local',
  second_factor_challenges: 'local',
  sign_in_failures: 'local',
  one_time_tokens: 'local',
  address_reservations: 'local',
  known_networks: 'local',
  migrations: 'local',
};

/** The table that all distributed tables are co-located with. */
const FIRST_DISTRIBUTED = 'orders';

/** Whether the database has Citus. */
export const HAS_CITUS = `exists (select from pg_extension where extname = 'citus')`;

/** An INSERT … SELECT without RETURNING. */
const INSERT_SELECT = /^\s*insert\s+into\b(?![^]*\breturning\b)[^]*\bselect\b/i;

/**
 * The statement in a form that Citus accepts: rows of a SELECT are sent to their servers by COPY, which row-level
 * security forbids, unless the INSERT has a RETURNING.
 */
export function forCitus(statement: Statement): Statement {
  return INSERT_SELECT.test(statement.text) ? { ...statement, text: `${statement.text} returning 1` } : statement;
}
