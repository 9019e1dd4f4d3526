/** The content of an archive, read page by page: a part for each table with visible rows, and one for the members. */
import type { MembersDatabase } from '../../platform/database/roles/members-database';
import type { Row, Statement } from '../../platform/database/sql/statement';
import type { KeyType, TenantTable } from '../../platform/database/sql/tables';
import type { TenantDatabase, TenantScope } from '../../platform/database/tenant-database';

const ROWS_AT_ONCE = 200;
/** A page ends if its rows are larger than this, after one row at least. */
const PAGE_BYTES = 1024 * 1024;

/** A row as JSON, with the key by which the next page begins. */
export interface ArchiveRow extends Row {
  json: string;
  key: string[];
}

/** A folder of the archive. */
export interface ArchivePart {
  readonly name: string;
  /** The rows after a key; none is the end. */
  page(scope: TenantScope, after: readonly string[] | undefined): Promise<ArchiveRow[]>;
}

/** The parts of these tables; a table without shown columns has none. */
export function partsOf(
  tables: readonly TenantTable[],
  database: TenantDatabase,
  members: MembersDatabase,
): ArchivePart[] {
  const parts = tables
    .filter(({ archived }) => archived.length > 0)
    .map(({ table, key, archived }) => ({
      name: table,
      page: (scope: TenantScope, after: readonly string[] | undefined) =>
        database.queryIsolated<ArchiveRow>(
          scope,
          pageOf({ name: table, from: table, tenant: 'tenant_id', key, columns: archived }, scope, after),
        ),
    }));
  return [{ name: 'members', page: (scope, after) => members.query(scope, pageOf(MEMBERS, scope, after)) }, ...parts];
}

interface Source {
  name: string;
  from: string;
  tenant: string;
  key: Readonly<Record<string, KeyType>>;
  columns: readonly string[];
}

const MEMBERS: Source = {
  name: 'members',
  from: 'memberships m join users u on u.id = m.user_id',
  tenant: 'm.tenant_id',
  key: { user_id: 'uuid' },
  columns: ['user_id', 'email', 'name', 'role', 'status', 'managed_by', 'created_at', 'last_used_at', 'version'],
};

/** Rows after a key in its order, as many as {@link PAGE_BYTES} hold. A table without a key has one row at most. */
function pageOf(source: Source, { tenantId }: TenantScope, after: readonly string[] | undefined): Statement {
  const { name, from, tenant, key, columns } = source;
  const names = Object.keys(key);
  // The members' tables share names of columns: theirs are of the membership, but for the two of the person.
  const column = (one: string): string =>
    source !== MEMBERS ? one : one === 'email' || one === 'name' ? `u.${one}` : `m.${one}`;
  const shown = columns.map((one) => `'${one.replace(/::.*/, '')}', ${column(one)}`).join(', ');
  const order = names.length === 0 ? '1' : names.map(column).join(', ');
  const bound = names.map((one, at) => `$${at + 2}::${key[one]}`).join(', ');
  const isFirst = after === undefined;
  return {
    name: `archive_${name}${isFirst ? '' : '_after'}`,
    text: `select json, key from (
             select json, key, position, sum(octet_length(json)) over (order by position) - octet_length(json) as before
               from (select json_build_object(${shown})::text as json,
                            array[${names.map((one) => `${column(one)}::text`).join(', ')}]::text[] as key,
                            row_number() over (order by ${order}) as position
                       from ${from} where ${tenant} = $1 ${isFirst ? '' : `and (${order}) > (${bound})`}
                      order by ${order} limit ${ROWS_AT_ONCE}) as page) as sized
            where before < ${PAGE_BYTES} order by position`,
    values: isFirst ? [tenantId] : [tenantId, ...after],
  };
}
