import { getMetadataArgsStorage } from 'typeorm';
import type { InsertedRows } from './sql/insert-values';
import { jsonBare, type JsonMember, jsonPlain, jsonText, jsonTime } from './sql/json';
import type { SqlValue } from './sql/statement';

/** A row that is selected by {@link columnsOf}: the result of a repository, without the class. */
export type RowOf<Entity> = { [Name in keyof Entity]: Entity[Name] };

/** The column of every tenant's table that statements bind for themselves. */
const TENANT_COLUMN = 'tenant_id';

interface EntityColumn {
  property: string;
  name: string;
  type: string;
  nullable: boolean;
}

/** The columns that an entity declares, followed by those of its base classes. */
function declaredColumns(entity: new () => object): EntityColumn[] {
  const classes: unknown[] = [];
  for (let type: unknown = entity; typeof type === 'function' && type !== Function.prototype;) {
    classes.push(type);
    type = Object.getPrototypeOf(type) as unknown;
  }
  const { columns } = getMetadataArgsStorage();
  const declared = classes.flatMap((type) => columns.filter(({ target }) => target === type));
  if (declared.length === 0) throw new Error(`${entity.name} is no entity`);
  return declared.map(({ propertyName, options }) => ({
    property: propertyName,
    name: options.name ?? propertyName,
    type: String(options.type),
    nullable: options.nullable ?? false,
  }));
}

/**
 * The columns of an entity as a select list, by their names in the entity: for statements that go out without a
 * repository, so that an entity has one list of columns and its rows have one form.
 * @param alias the name of the table in the statement
 */
export function columnsOf(entity: new () => object, alias?: string): string {
  const prefix = alias === undefined ? '' : `${alias}.`;
  return declaredColumns(entity)
    .map(({ property, name }) => (name === property ? `${prefix}${name}` : `${prefix}${name} as "${property}"`))
    .join(', ');
}

/**
 * The columns of an entity as members of a JSON object, by their names in the table and without the tenant's. Text is
 * escaped: a column whose text never needs it may be overridden with {@link jsonPlain}, which costs less.
 */
export function jsonOf(entity: new () => object, alias: string): Record<string, JsonMember> {
  const members = declaredColumns(entity)
    .filter(({ name }) => name !== TENANT_COLUMN)
    .map((column): [string, JsonMember] => [column.name, memberOf(column, `${alias}.${column.name}`)]);
  return Object.fromEntries(members);
}

function memberOf({ type, nullable }: EntityColumn, sql: string): JsonMember {
  const value = type === 'timestamptz' ? jsonTime(sql) : nullable && type === 'numeric' ? `${sql}::text` : sql;
  if (nullable || type === 'text') return jsonText(value);
  return ['uuid', 'numeric', 'timestamptz'].includes(type) ? jsonPlain(value) : jsonBare(value);
}

/** The columns of an entity as the archive of a tenant names them: numbers of any size as text. */
export function archivedOf(entity: new () => object): string[] {
  return declaredColumns(entity)
    .filter(({ name }) => name !== TENANT_COLUMN)
    .map(({ name, type }) => (type === 'numeric' ? `${name}::text` : name));
}

/** Rows of an entity as an INSERT needs them, without the tenant's column, which all rows share. */
export function rowsOf<Entity extends object>(
  entity: new () => Entity,
  rows: readonly Omit<Entity, 'tenantId'>[],
): Pick<InsertedRows, 'columns' | 'rows'> {
  const { members, columns } = insertedColumnsOf(entity);
  return {
    columns,
    rows: rows.map((row) =>
      members.map(({ property, type }) => {
        const value = (row as Record<string, unknown>)[property];
        return (type === 'jsonb' ? JSON.stringify(value) : value) as SqlValue;
      }),
    ),
  };
}

/** The columns of an entity's rows in an INSERT, each with its type. */
interface InsertedColumns {
  members: readonly EntityColumn[];
  columns: InsertedRows['columns'];
}

/** By entity: its metadata are searched once, and not for each row. */
const inserted = new Map<new () => object, InsertedColumns>();

function insertedColumnsOf(entity: new () => object): InsertedColumns {
  let known = inserted.get(entity);
  if (!known) {
    const members = declaredColumns(entity).filter(({ name }) => name !== TENANT_COLUMN);
    known = { members, columns: Object.fromEntries(members.map(({ name, type }) => [name, type])) };
    inserted.set(entity, known);
  }
  return known;
}
