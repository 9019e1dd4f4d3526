// `npm run record:citus`: runs the suites on a database that says it has Citus, and records the statements that the
// service then sends, for test/citus. `-- test/orders …` runs these suites alone and renews what they send.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isStatementOf, statementsOfSource } from './sql-of-source.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const golden = join(root, 'test', 'golden', 'statements-citus.json');
const SUITES =
  'test/(api-keys|audit|auth|mail|orders|outbox|platform/usage|queue|retention|tenants|users|webhooks)/|test/processes/admin';

const suites = process.argv.slice(2);
const file = join(tmpdir(), `statements-citus-${process.pid}.json`);
// A test that counts round trips fails here, since a transaction is sent in another way; its statements count.
spawnSync('npx', ['jest', ...(suites.length > 0 ? suites : [SUITES])], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, RECORD_STATEMENTS: file, TEST_AS_ON_CITUS: '1' },
});
const recorded = JSON.parse(readFileSync(file, 'utf8'));
const names = new Set(recorded.map(({ name }) => name));
const before = suites.length > 0 && existsSync(golden) ? JSON.parse(readFileSync(golden, 'utf8')) : [];
const source = statementsOfSource(join(root, 'src'));
const kept = before.filter(
  (statement) =>
    (statement.name === '' || !names.has(statement.name)) &&
    !recorded.some(({ role, text }) => role === statement.role && text === statement.text) &&
    (statement.name === '' || source.some((one) => isStatementOf(one, statement))),
);
const all = [...kept, ...recorded].sort(
  (a, b) => compare(a.name, b.name) || compare(a.text, b.text) || compare(a.role, b.role),
);
writeFileSync(golden, `${JSON.stringify(all, null, 2)}\n`);
console.log(`${all.length} statements, ${recorded.length} of them now`);

function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}
