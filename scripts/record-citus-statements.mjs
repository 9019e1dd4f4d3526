// `npm run record:citus`: runs the suites on a database that says it has Citus, and records the statements that the
// service then sends, for test/citus. `-- test/orders …` runs these suites alone and renews what they send.
// A statement whose text the source has as it is needs no suite. `-- --list` prints these and the recorded ones,
// `-- --check` compares the recording with the source.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isNameOf, isStatementOf, statementsOfSource } from './sql-of-source.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const golden = join(root, 'test', 'golden', 'citus-statements.json');
const exceptions = join(root, 'test', 'golden', 'citus-exceptions.json');
const SUITES =
  'test/(api-keys|audit|auth|mail|orders|platform/outbox|platform/usage|platform/queue|retention|tenants|users|webhooks)/|test/processes/admin';

const source = statementsOfSource(join(root, 'src'));
const recording = existsSync(golden) ? JSON.parse(readFileSync(golden, 'utf8')) : [];
const { unrecorded } = JSON.parse(readFileSync(exceptions, 'utf8'));
const args = process.argv.slice(2);
if (args[0] === '--check') check();
else if (args[0] === '--list') console.log(JSON.stringify(list(recording, [])));
else record(args);

/** Statements of the source that were not recorded, and recorded ones that the source does not have any more. */
function check() {
  const faults = [];
  for (const statement of source) {
    const isListed = Object.keys(unrecorded).some((name) => isNameOf(statement, name));
    if (!isListed && !statement.literal && !recording.some((one) => isStatementOf(statement, one))) {
      faults.push(`${statement.file}: ${statement.label} is not recorded`);
    }
  }
  for (const one of recording) {
    const isLiteral = source.some(({ literal }) => literal?.name === one.name);
    if (one.name !== '' && !isLiteral && !source.some((statement) => isStatementOf(statement, one))) {
      faults.push(`${one.name} is recorded with a text that the source does not have`);
    }
  }
  for (const fault of faults) console.error(fault);
  if (faults.length === 0) return console.log(`${recording.length} statements agree with the source.`);
  console.error('Record them: npm run record:citus -- SUITE, a suite that sends them.');
  process.exitCode = 1;
}

function record(suites) {
  const file = join(tmpdir(), `statements-citus-${process.pid}.json`);
  // A test that counts round trips fails here, since a transaction is sent in another way; its statements count.
  spawnSync('npx', ['jest', ...(suites.length > 0 ? suites : [SUITES])], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, RECORD_STATEMENTS: file, TEST_AS_ON_CITUS: '1' },
  });
  const all = list(suites.length > 0 ? recording : [], JSON.parse(readFileSync(file, 'utf8')));
  writeFileSync(golden, `${JSON.stringify(all, null, 2)}\n`);
  console.log(`${all.length} statements`);
}

/** Statements recorded before and now, and literals, without those that the source does not have any more. */
function list(before, recorded) {
  const literals = source.flatMap(({ literal }) => literal ?? []);
  // One statement may be sent by several roles, and a name has one text.
  const all = new Map([...before, ...recorded, ...literals].map(({ name, text }) => [name || text, { name, text }]));
  const kept = [...all.values()].filter(
    (one) =>
      !(one.name in unrecorded) && (one.name === '' || source.some((statement) => isStatementOf(statement, one))),
  );
  return kept.sort((a, b) => compare(a.name, b.name) || compare(a.text, b.text));
}

function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}
