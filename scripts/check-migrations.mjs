// Refuses SQL of migrations that would block or break the running release. `node scripts/check-migrations.mjs [FOLDER]`
// lints the SQL of `migrate plan`, with squawk and a few additional rules. The SQL marks a deliberate exception: `--
// squawk-ignore RULE` before a statement, `-- allow RULE: why` anywhere in the migration.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildIfStale } from './build.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const require = createRequire(import.meta.url);
const LOCK_TIMEOUT_OFF = /^set lock_timeout = 0;?$/i;
const LOCK_TIMEOUT_ON = /^reset lock_timeout;?$/i;

/** Each rule checks a migration's SQL without comments and without the bodies of functions and do blocks. */
const RULES = {
  'no-backfill-at-once': {
    broken: ({ sql }) => /(^|;)\s*(with\b[^;]*\)\s*)?(update|delete\s+from)\b/i.test(sql),
    says: 'an update or delete of a whole table locks its rows until it is done: do it in small batches, after the release',
  },
  'no-table-lock': {
    broken: ({ sql }) =>
      /(^|;)\s*(lock\b|truncate\b|cluster\b|vacuum\s*(\(|full)|refresh\s+materialized\s+view\s+(?!concurrently))/i.test(
        sql,
      ),
    says: 'it locks out readers or writers of a whole table',
  },
  'concurrently-in-no-transaction': {
    broken: ({ sql, transaction }) => transaction && /\bconcurrently\b/i.test(sql),
    says: 'PostgreSQL does that in no transaction: set `transaction = false` on the migration',
  },
  'one-command-a-query': {
    broken: ({ statements, down }) => [...statements, ...down].some((text) => /;\s*\S/.test(text)),
    says: 'Citus sends the whole text of a query to its servers for each command in it, and several commands outside of a transaction are one: give each to a runner.query of its own, in up and in down',
  },
  'add-constraint-alone': {
    broken: ({ statements, down }) =>
      [...statements, ...down]
        .map(withoutParentheses)
        .some((text) => /,\s*add\s+constraint\b|\badd\s+constraint\b[^;]*,/i.test(text)),
    says: 'Citus refuses an ADD CONSTRAINT beside other changes of the table: give each a command of its own',
  },
  'no-lock-timeout-in-no-transaction': {
    broken: ({ statements, transaction }) =>
      !transaction && !(LOCK_TIMEOUT_OFF.test(statements[0] ?? '') && LOCK_TIMEOUT_ON.test(statements.at(-1) ?? '')),
    says: 'what is cut short here is not undone: begin with `set lock_timeout = 0` and end with `reset lock_timeout`',
  },
};

async function migrationsIn(folder) {
  const { sqlOf } = require(join(root, 'dist/src/platform/database/migrate/migration-sql.js'));
  const migrations = [];
  for (const file of readdirSync(folder)
    .filter((name) => /^\d+-[a-z0-9-]+\.(c?js)$/.test(name))
    .sort()) {
    for (const Migration of Object.values(require(join(folder, file)))) {
      const migration = new Migration();
      const { statements: down } = migration.down ? await sqlOf(migration, 'down') : { statements: [] };
      migrations.push({ file: basename(file).replace(/\.c?js$/, ''), ...(await sqlOf(migration)), down });
    }
  }
  return migrations;
}

/** Quoted text, comments and dollar-quoted bodies do not show changes of tables. */
const bare = (text) => text.replace(/--[^\n]*|\/\*[^]*?\*\/|\$(\w*)\$[^]*?\$\1\$|'(?:[^']|'')*'/g, ' ').trim();

/** A constraint's own commas stand in parentheses. */
function withoutParentheses(text) {
  const outer = text.replace(/\([^()]*\)/g, ' ');
  return outer === text ? text : withoutParentheses(outer);
}

function faultsOf(migration) {
  const text = migration.statements.join(';\n');
  const allowed = new Set([...text.matchAll(/--\s*allow ([\w-]+): \S/g)].map(([, rule]) => rule));
  const looked = {
    ...migration,
    statements: migration.statements.map(bare),
    down: migration.down.map(bare),
    sql: migration.statements.map(bare).join(';\n'),
  };
  return Object.entries(RULES)
    .filter(([name, { broken }]) => !allowed.has(name) && broken(looked))
    .map(([name, { says }]) => `${migration.file}: ${name}: ${says}`);
}

/** The findings of squawk; undefined if it has no program for this platform. */
function squawk(migrations) {
  const bin = require.resolve('squawk-cli/js/bin/squawk');
  try {
    execFileSync(process.execPath, [bin, '--version'], { stdio: 'ignore' });
  } catch {
    return undefined;
  }
  const folder = mkdtempSync(join(tmpdir(), 'squawk-'));
  try {
    const said = [true, false].map((transaction) => {
      const files = migrations.filter((migration) => migration.transaction === transaction);
      if (files.length === 0) return '';
      for (const { file, statements } of files) {
        writeFileSync(
          join(folder, `${file}.sql`),
          `${statements.map((text) => text.replace(/;?$/, ';')).join('\n')}\n`,
        );
      }
      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        [
          bin,
          `--config=${join(root, '.squawk.toml')}`,
          transaction ? '--assume-in-transaction' : '--no-assume-in-transaction',
          '--reporter=gcc',
          ...files.map(({ file }) => `${file}.sql`),
        ],
        { cwd: folder, encoding: 'utf8' },
      );
      if (status !== 0 && stdout.trim() === '') throw new Error(`squawk failed: ${stderr}`);
      return stdout;
    });
    return said
      .join('')
      .split('\n')
      .filter((line) => line.trim() !== '');
  } finally {
    rmSync(folder, { recursive: true });
  }
}

await buildIfStale();
const migrations = await migrationsIn(resolve(process.argv[2] ?? join(root, 'dist/migrations')));
if (migrations.length === 0) throw new Error('there are no migrations to check');
const linted = squawk(migrations);
if (linted === undefined) {
  console.error('NOT LINTED: squawk-cli has no program for this platform (its optional package is not installed).');
}
const timeOf = ({ file }) => file.split('-', 1)[0];
const doubled = migrations
  .filter((migration, index) => migrations.some((other, at) => at < index && timeOf(other) === timeOf(migration)))
  .map(({ file }) => `${file}: another migration has the same time, so that their order is undefined`);
const faults = [...migrations.flatMap(faultsOf), ...doubled, ...(linted ?? [])];
for (const fault of faults) console.error(fault);
if (faults.length > 0) {
  console.error('What is meant all the same: see the head of scripts/check-migrations.mjs.');
  process.exit(1);
}
console.log(`${migrations.length} migrations are safe beside a running release.`);
