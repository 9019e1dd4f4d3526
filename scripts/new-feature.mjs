// `npm run new:feature invoices invoice`: makes a tenant-safe feature from scripts/new-feature/template: its folder in
// src, a migration, a file of tests. It registers the feature in the three files of src/processes that list features,
// then renews the golden files (`-- --no-golden` leaves that out). See docs/adding-a-module.md.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { faultsOfNames, spellings } from './new-feature/names.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const template = join(root, 'scripts', 'new-feature', 'template');

/** Lines that are added behind other lines: a feature is listed behind the orders, which are the model of one. */
const REGISTRATIONS = {
  'src/processes/api/api.module.ts': [
    [
      "import { OrdersModule } from '../../orders/orders.module';",
      "import { DemoThingsModule } from '../../demo-things/demo-things.module';",
    ],
    ['        OrdersModule,', '        DemoThingsModule,'],
  ],
  'src/processes/permissions.ts': [
    ["import '../orders/orders.permissions';", "import '../demo-things/demo-things.permissions';"],
  ],
  'src/processes/tables.ts': [
    [
      "import { ORDERS_PLACEMENTS, ORDERS_TENANT_TABLES } from '../orders/orders.tables';",
      "import { DEMO_THINGS_PLACEMENTS, DEMO_THINGS_TENANT_TABLES } from '../demo-things/demo-things.tables';",
    ],
    ['  ...ORDERS_PLACEMENTS,', '  ...DEMO_THINGS_PLACEMENTS,'],
    ['  ...ORDERS_TENANT_TABLES,', '  ...DEMO_THINGS_TENANT_TABLES,'],
  ],
};

/** A timestamp behind that of every migration. */
function nextTimestamp() {
  const newest = Math.max(...readdirSync(join(root, 'migrations')).map((file) => Number(file.split('-', 1)[0])));
  return String(Math.max(Date.now(), newest + 1));
}

/** The texts of the new files, and of the changed ones, by their paths. */
function filesOf(rename) {
  const timestamp = nextTimestamp();
  const read = (path) => readFileSync(join(root, path), 'utf8');
  const fromTemplate = (path) => rename(readFileSync(join(template, path), 'utf8'));
  const files = new Map();
  for (const file of readdirSync(join(template, 'src'))) {
    files.set(rename(`src/demo-things/${file}`), fromTemplate(join('src', file)));
  }
  for (const file of readdirSync(join(template, 'test'))) {
    files.set(rename(`test/demo-things/${file}`), fromTemplate(join('test', file)));
  }
  files.set(
    `migrations/${timestamp}-${rename('demo-things')}.ts`,
    fromTemplate('migration.ts').replaceAll('0000000000000', timestamp),
  );
  for (const [path, lines] of Object.entries(REGISTRATIONS)) {
    let text = read(path);
    for (const [behind, line] of lines) {
      if (!text.includes(`${behind}\n`)) throw new Error(`${path} has no line '${behind.trim()}' any more`);
      text = text.replace(`${behind}\n`, `${behind}\n${rename(line)}\n`);
    }
    files.set(path, text);
  }
  return files;
}

function run(command, args) {
  const { status } = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

const [plural = '', singular = '', ...options] = process.argv.slice(2);
const faults = faultsOfNames(root, template, plural, singular);
if (options.some((option) => option !== '--no-golden')) faults.push(`there is no option ${options.join(' ')}`);
if (faults.length > 0) {
  console.error('usage: npm run new:feature PLURAL SINGULAR, such as invoices invoice, or credit-notes credit-note');
  for (const fault of faults) console.error(`  ${fault}`);
  process.exit(2);
}

const files = filesOf(spellings(plural, singular));
for (const [path, text] of files) {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}
run('npx', ['prettier', '--write', '--log-level', 'warn', ...files.keys()]);
for (const path of files.keys()) console.log(path);
if (!options.includes('--no-golden')) run(process.execPath, [join('scripts', 'golden.mjs')]);
console.log(`\nNext: its columns and rules. npx jest test/${plural}`);
