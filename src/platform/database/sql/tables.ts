/**
 * The platform's knowledge of tables, which their owners declare in a file `*.tables.ts`: the placement of each table
 * on several servers, and the retention of rows that expire. `processes/tables.ts` collects the declarations.
 */
import type { Config } from '../../config/config';

/** How Citus stores a table: a copy on every server, split by `tenant_id`, or on the coordinator alone. */
export type Placement = 'reference' | 'distributed' | 'local';

/** Placements by the name of the table. */
export type Placements = Readonly<Record<string, Placement>>;

/** A reference table that repeats columns of another table: it is filled in before it is distributed. */
export interface Filling {
  readonly table: string;
  readonly from: string;
  /** The INSERT, which may run again. */
  readonly text: string;
}

/** Rows that expire, and are deleted in small batches by the retention job. */
export interface RetentionRule {
  readonly table: string;
  /** The columns of the primary key, comma-separated. */
  readonly key: string;
  /** The time from which the period counts; an index begins with it. */
  readonly column: string;
  /** How long a row stays after that time, milliseconds; 0 if left out. */
  readonly period?: (config: Config) => number;
  /**
   * Tables with rows of the same tenant that are deleted first, found by an id that contains its time. In the order of
   * deletion.
   */
  readonly dependents?: readonly RetentionDependent[];
}

/** Rows that are deleted together with expired rows. */
export interface RetentionDependent {
  readonly table: string;
  /** The columns that, with `tenant_id`, are the primary key. */
  readonly key: string;
  /** The id that carries the time. */
  readonly id: string;
}

/** The type of a key's column, by which a text is compared with it. */
export type KeyType = 'uuid' | 'text' | 'integer' | 'smallint' | 'bigint' | 'bytea' | 'timestamptz';

/**
 * A table with rows of tenants: its part of a tenant's archive, and the way in which the erasure of a tenant finds its
 * rows. Tables are in the order of deletion, referring rows first. A test compares them with the schema.
 */
export interface TenantTable {
  readonly table: string;
  /** The columns that, with `tenant_id`, are the primary key. */
  readonly key: Readonly<Record<string, KeyType>>;
  /** The columns that an archive shows; a type behind `::` is how the value is shown (exact decimals as text). */
  readonly archived: readonly string[];
  /** The columns that it does not show: secrets, and the bookkeeping of the service. `'*'` stands for all others. */
  readonly omitted: readonly string[] | '*';
  /** The role that serves requests may not delete these rows: the role of erasures does. */
  readonly erasedByEraser?: true;
}

/** A table with rows of persons, which go when the person is erased. In the order of deletion. */
export interface PersonTable {
  readonly table: string;
  /** The column that names the person. */
  readonly column: string;
}
