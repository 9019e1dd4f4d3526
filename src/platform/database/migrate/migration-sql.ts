import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The SQL of a migration. */
export interface MigrationSql {
  /** Rolled back as a whole on failure; false for SQL that PostgreSQL runs in no transaction (`CONCURRENTLY`). */
  transaction: boolean;
  statements: string[];
}

/**
 * The SQL of a migration's `up` or `down`, recorded without a database. A migration is fixed text that reads nothing
 * from the database here (a `do` block may), so the shown and linted text is the text that is applied.
 */
export async function sqlOf(migration: MigrationInterface, direction: 'up' | 'down' = 'up'): Promise<MigrationSql> {
  const statements: string[] = [];
  const recorder = {
    query(text: string, ...others: unknown[]): Promise<unknown> {
      if (others.length > 0) throw new Error(`${migration.name}: a migration’s SQL has no parameters`);
      statements.push(withoutIndentation(text));
      return Promise.resolve(NOTHING);
    },
  };
  const runner = new Proxy(recorder, {
    get(target, property) {
      if (property === 'query') return target.query.bind(target);
      throw new Error(`${migration.name}: a migration uses only runner.query, not ${String(property)}`);
    },
  });
  await migration[direction](runner as unknown as QueryRunner);
  return { transaction: migration.transaction ?? true, statements };
}

/** A result without rows: a migration that reads one would depend on the database. */
const NOTHING = new Proxy(
  {},
  {
    get(_, property) {
      // `await` reads this property to detect a promise.
      if (property === 'then') return undefined;
      throw new Error('a migration cannot read results: use a do block');
    },
  },
);

function withoutIndentation(text: string): string {
  const lines = text.replace(/^\s*\n|\s+$/g, '').split('\n');
  const indents = lines.filter((line) => line.trim() !== '').map((line) => line.search(/\S/));
  const indent = Math.min(...indents);
  return lines.map((line) => line.slice(indent).trimEnd()).join('\n');
}
