import type { Client } from 'pg';

/** A statement of a release as it was sent, with its types in the schema of that release. */
export interface RecordedStatement {
  role: string;
  /** Empty without one. */
  name: string;
  text: string;
  parameters: string;
  results: string | null;
}

const ANY_ID = '00000000-0000-7000-8000-000000000000';

/**
 * Prepares a statement as its role, and lets PostgreSQL plan it, which also checks the role's rights. Executes nothing.
 * The result's types are available since PostgreSQL 16.
 */
export async function prepareOnly(
  client: Client,
  { role, text }: Pick<RecordedStatement, 'role' | 'text'>,
): Promise<Pick<RecordedStatement, 'parameters' | 'results'>> {
  await client.query(`begin; set local role ${client.escapeIdentifier(role)};
    set local app.tenant_id = '${ANY_ID}'; set local app.user_id = '${ANY_ID}'`);
  try {
    await client.query(`prepare looked_at as ${text}`);
    const { rows } = await client.query<Pick<RecordedStatement, 'parameters' | 'results'>>(
      `select parameter_types::text as parameters, to_jsonb(p) ->> 'result_types' as results
         from pg_prepared_statements p where name = 'looked_at'`,
    );
    const count = Math.max(0, ...[...text.matchAll(/\$(\d+)/g)].map(([, number]) => Number(number)));
    await client.query(`explain execute looked_at${count > 0 ? `(${Array(count).fill('null').join(', ')})` : ''}`);
    return rows[0] as (typeof rows)[number];
  } finally {
    await client.query('rollback');
    await client.query('deallocate all');
  }
}

/** Columns that an INSERT does not name although they need a value and have no default. */
export async function forgottenColumns(client: Client, text: string): Promise<string[]> {
  const forgotten: string[] = [];
  for (const [, table, columns] of text.matchAll(/insert\s+into\s+"?(\w+)"?\s*\(([^)]*)\)/gi)) {
    const named = (columns as string).split(',').map((column) => column.trim().replaceAll('"', ''));
    const { rows } = await client.query<{ name: string }>(
      `select attname as name from pg_attribute
        where attrelid = to_regclass($1) and attnum > 0 and not attisdropped and attnotnull
          and not atthasdef and attidentity = '' and attname <> all ($2)`,
      [table, named],
    );
    forgotten.push(...rows.map(({ name }) => `${table}.${name}`));
  }
  return forgotten;
}
