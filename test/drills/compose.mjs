// Drills on the real compose file and image: `node test/drills/compose.mjs [smoke | all]`. Docker, Compose and the
// images must be present (test/drills/images.sh makes stand-ins for images that cannot be pulled). Prints a line of the
// table in docs/resilience.md for each drill, and ends with 1 if a request failed against the rules, or a delivery was
// lost. Drills with a machine or a release of their own are in machine.mjs.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  apiUrl,
  balancer,
  check,
  dc,
  docker,
  drill,
  folder,
  healthy,
  idsOf,
  killHard,
  main,
  prepare,
  project,
  psql,
  run,
  secrets,
  seen,
  startReceiver,
  upgrade,
  targets,
} from './project.mjs';
import { call, newTenant } from './tenant.mjs';

const [scope = 'smoke'] = process.argv.slice(2);

async function smoke() {
  const began = performance.now();
  await dc('up', '--detach', '--wait', '--no-build');
  console.log(`up --wait: ${((performance.now() - began) / 1000).toFixed(0)} s`);
  const size = docker('history', '--format', '{{.Size}}', '--human=false', 'orders-saas-api:local').split('\n');
  const own = size
    .slice(0, size.findIndex((_, index) => index > 0 && Number(size[index]) > 1e6) + 1)
    .reduce((sum, text) => sum + Number(text), 0);
  check(`the image holds ${(own / 1e6).toFixed(0)} MB of our own, at most 60`, own > 0 && own < 60e6);
  await startReceiver();
  const api = await apiUrl();
  check('ready', (await fetch(`${api}/health/ready`)).status === 200);
  const tenant = await newTenant(api, 'http://receiver:8080/hook');
  const made = await call(
    api,
    'POST',
    '/orders',
    {
      customer_id: crypto.randomUUID(),
      currency: 'USD',
      items: [{ product_id: 'a', product_name: 'A', quantity: 2, unit_price: '1.50' }],
    },
    { token: tenant.token, key: crypto.randomUUID() },
  );
  check('an order is made', made.status === 201);
  for (let waited = 0; waited < 30 && Object.keys(seen()).length === 0; waited++) await delay(500);
  check('its webhook arrives, by http at a name in a range that is opened', Object.keys(seen()).length === 1);
  for (const path of ['/docs/', '/openapi.json']) check(`GET ${path}`, (await fetch(api + path)).status === 200);
  const tenants = (await dc('run', '--rm', '--no-deps', 'admin', 'tenants', 'list')).stdout;
  check('admin tenants list', /Drill/.test(tenants));
  const owners = await psql("select rolname from pg_roles where rolname = 'app_sign_in'");
  const sessions = await psql("select count(*) > 0 from pg_stat_activity where usename = 'app_sign_in'");
  check('sign-in has a login of its own, and uses it', owners === 'app_sign_in' && sessions === 't');
  await passwordsAreHidden();
  await otherUser();
  return tenant;
}

/** The passwords of PostgreSQL and Redis are in files: neither their environment nor their arguments have them. */
async function passwordsAreHidden() {
  for (const [service, variable] of [
    ['postgres', 'POSTGRES_PASSWORD'],
    ['redis', 'REDIS_PASSWORD'],
  ]) {
    const [id] = await idsOf(service);
    const { Config, Args } = JSON.parse(docker('inspect', id))[0];
    const processes = docker('top', id, '-eo', 'pid,args');
    check(
      `${service}: no password in its environment or arguments`,
      !JSON.stringify([Config, Args, processes]).includes(JSON.stringify(secrets[variable]).slice(1, -1)),
    );
  }
}

/** As OpenShift runs it: another user, group 0, nothing writable, no capability, 512 MiB. */
async function otherUser() {
  const [id] = await idsOf('api');
  const environment = JSON.parse(docker('inspect', '--format', '{{json .Config.Env}}', id)).flatMap((pair) => [
    '--env',
    pair,
  ]);
  const name = `${project}-other-user`;
  docker('run', '--detach', '--name', name, '--user', '1234567:0', '--read-only', '--cap-drop', 'ALL', '--memory', '512m',
    '--network', `${project}_data`, ...environment, 'orders-saas-api:local', 'api'); // prettier-ignore
  let ready = '';
  for (let waited = 0; waited < 60 && ready !== '200'; waited++) {
    await delay(500);
    const ask = "fetch('http://127.0.0.1:3000/health/ready').then(r=>console.log(r.status),()=>0)";
    ready = await run('docker', ['exec', name, 'node', '-e', ask]).then(
      ({ stdout }) => stdout.trim(),
      () => '',
    );
  }
  const usage = readCpu(docker('inspect', '--format', '{{.Id}}', name));
  check('serves as another user, with nothing to write', ready === '200');
  if (usage) console.log(`CPU seconds until ready, its probes included: ${usage.toFixed(2)}`);
  docker('rm', '--force', name);
}

function readCpu(id) {
  try {
    return Number(readFileSync(`/sys/fs/cgroup/cpuacct/docker/${id}/cpuacct.usage`, 'utf8')) / 1e9;
  } catch {
    return undefined;
  }
}

async function all(tenant) {
  await drill('kill -9 of PostgreSQL', tenant, true, () => killHard('postgres'));
  await drill('kill -9 of Redis', tenant, false, () => killHard('redis'));
  await drill('read-only primary for 10 s', tenant, true, async () => {
    await readOnly('on');
    await delay(10_000);
    await readOnly('off');
    await delay(3_000);
  });
  await drill('worker replaced', tenant, false, async () => {
    await dc('restart', '--timeout', '40', 'worker');
    await healthy('worker');
  });
  await drill('API replaced beside a second one', tenant, false, () => upgrade());
  await backup(tenant);
}

async function readOnly(value) {
  const sql = ['-c', `alter system set default_transaction_read_only = ${value}`, '-c', 'select pg_reload_conf()'];
  await dc(
    'exec',
    '-T',
    '--env',
    'PGOPTIONS=-c default_transaction_read_only=off',
    'postgres',
    'psql',
    '--username=orders_owner',
    '--dbname=orders',
    ...sql,
  );
}

async function backup(tenant) {
  const count = async () =>
    (await call(tenant.api, 'GET', '/orders?limit=100', undefined, { token: tenant.token })).body.data?.length;
  const before = await count();
  const dump = join(folder, 'orders.dump');
  const roles = join(folder, 'roles.sql');
  const [id] = await idsOf('postgres');
  const shell = (command) => execFileSync('sh', ['-c', command], { stdio: 'pipe' });
  shell(`docker exec ${id} pg_dump --username=orders_owner --format=custom orders > ${dump}`);
  shell(`docker exec ${id} pg_dumpall --username=orders_owner --roles-only --no-role-passwords > ${roles}`);
  await dc('stop', 'api', 'worker', 'redis', 'postgres');
  await dc('rm', '--force', 'api', 'worker', 'redis', 'postgres', 'migrate');
  docker('volume', 'rm', `${project}_postgres-data`, `${project}_redis-data`);
  await dc('up', '--detach', '--wait', '--no-build', 'postgres');
  const [fresh] = await idsOf('postgres');
  // It reports that orders_owner exists.
  shell(`docker exec -i ${fresh} psql --quiet --username=orders_owner --dbname=orders < ${roles}`);
  shell(`docker exec -i ${fresh} pg_restore --username=orders_owner --dbname=orders --exit-on-error < ${dump}`);
  await dc('up', '--detach', '--wait', '--no-build');
  targets.splice(0, targets.length, [undefined, await apiUrl()]);
  check(`backup and restore: ${before} orders before, the same after`, (await count()) === before && before > 0);
}

await main(async () => {
  prepare();
  const tenant = await smoke();
  targets.push([undefined, await apiUrl()]);
  tenant.api = await balancer();
  if (scope === 'all') await all(tenant);
});
