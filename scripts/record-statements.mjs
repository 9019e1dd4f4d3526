// `npm run record:statements`, at a release: runs the suites that cover the service and records its SQL statements.
// test/platform/database/migrate/previous-release.e2e-spec.ts checks later schemas against them. Fails if a named
// statement of the source was not executed.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const golden = join(root, 'test', 'golden');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const SUITES = [
  'admin',
  'auth',
  'orders',
  'export',
  'idempotency',
  'tokens',
  'http\\.',
  'metrics',
  'retention',
  'webhooks-api',
  'webhooks-sending',
  'webhooks-fairness',
];
/** Why some are not there. */
const NOT_RECORDED = {
  tenants_list: 'an operator’s command logs in as the owner, and is over before the next release is there',
  tenant_find: 'the same',
  tenant_mark_suspended: 'the same',
  primary_position: 'it asks the server and no table',
  replica_has_replayed: 'the same',
  outbox_tenants_distributed: 'it is for tenants spread by Citus, which CI has not',
  deliveries_waiting_distributed: 'the same',
  backlog_outbox_distributed: 'the same',
  backlog_deliveries_distributed: 'the same',
};
/** A statement's name as in the source (one with a `${…}` represents several), and the table of its insert. */
const NAME = /\bname: (?:'([a-z_]+)'|`([a-z_]+)\$\{[^`]*`),?\s+text: ?[`']?(?:\s*insert into (\w+))?/g;

const file = join(tmpdir(), `statements-${process.pid}.json`);
const { status } = spawnSync('npx', ['jest', `test/[^/]+/(${SUITES.join('|')})`], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, RECORD_STATEMENTS: file },
});
if (status !== 0) process.exit(status ?? 1);

const recorded = JSON.parse(readFileSync(file, 'utf8'));
// Inserts of one transaction are joined into one statement.
const joined = recorded.filter(({ name }) => name === 'joined_writes').map(({ text }) => text);
const missing = [];
for (const source of readdirSync(join(root, 'src'), { recursive: true })) {
  if (!source.endsWith('.ts') || source.endsWith('.spec.ts')) continue;
  for (const [, name, prefix, table] of readFileSync(join(root, 'src', source), 'utf8').matchAll(NAME)) {
    const found =
      name in NOT_RECORDED ||
      recorded.some((statement) => (name ? statement.name === name : statement.name.startsWith(prefix))) ||
      (table && joined.some((text) => text.includes(`insert into ${table} `)));
    if (!found) missing.push(`${source}: ${name ?? prefix}`);
  }
}
if (missing.length > 0) {
  console.error(`These statements were not sent; add a suite that does to SUITES:\n  ${missing.join('\n  ')}`);
  process.exit(1);
}
for (const old of readdirSync(golden)) if (/^statements-.*\.json$/.test(old)) rmSync(join(golden, old));
renameSync(file, join(golden, `statements-${version}.json`));
console.log(`${recorded.length} statements of ${version}`);
