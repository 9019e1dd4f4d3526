// `npm run golden`: renews everything that is generated or compared: the golden files of the tests, the TypeScript
// client, the configuration table. Look at the diff before you commit it. `-- --readme` renews the tour in the README
// as well.
import { spawnSync } from 'node:child_process';

const SUITES = [
  'test/platform/database/migrate/migrations',
  'test/platform/database/tenancy-catalogue',
  'test/platform/http/responses/http-problems',
  'test/platform/http/openapi/openapi.e2e',
  'test/platform/http/openapi/access-matrix',
];

function run(command, args, env = {}) {
  console.log(`--- ${[command, ...args].join(' ')}`);
  const { status } = spawnSync(command, args, { stdio: 'inherit', env: { ...process.env, ...env } });
  if (status !== 0) process.exit(status ?? 1);
}

run('npx', ['jest', '-i', ...SUITES], { UPDATE_GOLDEN: '1' });
run(process.execPath, ['scripts/client.mjs']);
run(process.execPath, ['scripts/docs.mjs', '--write']);
if (process.argv.includes('--readme')) run('npx', ['jest', '-i', 'test/docs/readme-tour'], { RENEW_README: '1' });
run('npx', [
  'prettier',
  '--write',
  '--log-level',
  'warn',
  'test/golden',
  'clients/typescript/src',
  'docs',
  'README.md',
]);
