import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What a migration sends to the database. */
export interface MigrationSql {
  /** Undone as a whole when it fails; false for what PostgreSQL runs in no transaction (`CONCURRENTLY`). */
  transaction: boolean;
  statements: string[];
}

/**
 * The SQL of a migration's `up`, which runs against nothing: a migration is fixed text that asks the database no
 * question from here (a `do` block may). So what is shown and linted is what will be applied.
 */
export async function sqlOf(migration: MigrationInterface): Promise<MigrationSql> {
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
      throw new Error(`${migration.name}: a migration uses runner.query alone, not ${String(property)}`);
    },
  });
  await migration.up(runner as unknown as QueryRunner);
  return { transaction: migration.transaction ?? true, statements };
}

/** An answer that a migration cannot make anything of: what it would do with one depends on the database. */
const NOTHING = new Proxy(
  {},
  {
    get(_, property) {
      // What `await` looks for, to see whether this is a promise.
      if (property === 'then') return undefined;
      throw new Error('a migration does not look at answers: let a do block decide');
    },
  },
);

function withoutIndentation(text: string): string {
  const lines = text.replace(/^\s*\n|\s+$/g, '').split('\n');
  const indents = lines.filter((line) => line.trim() !== '').map((line) => line.search(/\S/));
  const indent = Math.min(...indents);
  return lines.map((line) => line.slice(indent).trimEnd()).join('\n');
}
