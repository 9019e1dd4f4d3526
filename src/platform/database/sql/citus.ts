/** The requirements of Citus for statements; `migrate/distribute-tables.ts` distributes the tables. */
import type { Statement } from './statement';

/** Whether the database has Citus. */
export const HAS_CITUS = `exists (select from pg_extension where extname = 'citus')`;

/** The session setting by which a SET LOCAL reaches the servers that have the rows of a transaction. */
export const PROPAGATES_SETTINGS = ['citus.propagate_set_commands', 'local'] as const;

/**
 * The session setting by which a statement is planned at each execution. From 13.2.1 on, with a plan to keep, Citus
 * makes one more plan of each simple statement at every execution on a local shard, and never frees it.
 */
export const PLANS_ANEW = ['plan_cache_mode', 'force_custom_plan'] as const;

/** An INSERT … SELECT without RETURNING. */
const INSERT_SELECT = /^\s*insert\s+into\b(?![^]*\breturning\b)[^]*\bselect\b/i;

/**
 * The statement in a form that Citus accepts: rows of a SELECT are sent to their servers by COPY, which row-level
 * security forbids, unless the INSERT has a RETURNING.
 */
export function forCitus(statement: Statement): Statement {
  return INSERT_SELECT.test(statement.text) ? { ...statement, text: `${statement.text} returning 1` } : statement;
}
