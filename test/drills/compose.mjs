// Drills on the real compose file and image: `node test/drills/compose.mjs [smoke | all]`. Docker, Compose and the
// images must be present (test/drills/images.sh makes stand-ins for images that cannot be pulled). Prints a line of the
// table in docs/resilience.md for each drill, and ends with 1 if a request failed against the rules, or a delivery was
// lost.
import { execFile, execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { call, newTenant, underLoad } from './tenant.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const run = promisify(execFile);
const [scope = 'smoke'] = process.argv.slice(2);
const compose = process.env.COMPOSE ? [process.env.COMPOSE] : ['docker', 'compose'];
const project = `orders-drill-${process.pid}`;
const folder = mkdtempSync(join(tmpdir(), 'orders-drill-'));
/** Passwords with characters that a URL must encode. */
const secrets = {
  POSTGRES_PASSWORD: 'p@ss/w#rd?x',
  SERVICE_DATABASE_PASSWORD: 's@ss/w#rd"x',
  REDIS_PASSWORD: 'r@ss/w#rd"x',
};
const PER_SECOND = 5;
const faults = [];

function dc(...args) {
  const [program, ...first] = compose;
  return run(program, [...first, '--project-name', project, '--project-directory', folder, ...args], {
    cwd: folder,
    maxBuffer: 32 * 1024 * 1024,
    env: { ...process.env, COMPOSE_BAKE: 'false' },
  }).catch((error) => {
    throw new Error(`compose ${args.join(' ')}: ${error.stderr || error.message}`);
  });
}
const docker = (...args) => execFileSync('docker', args, { encoding: 'utf8' }).trim();
const idsOf = async (service) => (await dc('ps', '--quiet', service)).stdout.trim().split('\n').filter(Boolean);
const check = (what, ok) => {
  if (!ok) faults.push(what);
  console.log(`${ok ? 'ok  ' : 'FAIL'} ${what}`);
};

/** The API's address on this machine. */
async function apiUrl() {
  const [id] = await idsOf('api');
  const address = docker('port', id, '3000/tcp').split('\n')[0];
  return `http://${address}`;
}

/** A receiver in the network of the workers, which counts how often it has seen each delivery. */
const RECEIVER = `const seen={};require('http').createServer((q,s)=>{if(q.url==='/seen'){s.end(JSON.stringify(seen));return}
q.resume();q.on('end',()=>{const i=q.headers['webhook-id'];seen[i]=(seen[i]||0)+1;s.end()})}).listen(8080)`;
const receiver = `${project}-receiver`;
async function startReceiver() {
  docker('run', '--detach', '--name', receiver, '--network', `${project}_outside`, '--network-alias', 'receiver',
    '--entrypoint', 'node', 'orders-saas-api:local', '-e', RECEIVER); // prettier-ignore
}
function seen() {
  const ask = "fetch('http://127.0.0.1:8080/seen').then(r=>r.text()).then(t=>console.log(t))";
  return JSON.parse(docker('exec', receiver, 'node', '-e', ask));
}

/** A drill under load; deliveries of its orders are waited for. */
async function drill(name, tenant, mayFail, work) {
  const before = Object.keys(seen()).length;
  const result = await underLoad(tenant, PER_SECOND, work);
  let found = {};
  for (let waited = 0; waited < 90; waited++) {
    found = seen();
    if (Object.keys(found).length - before >= result.orders) break;
    await delay(1_000);
  }
  const unique = Object.keys(found).length - before;
  const twice = Object.values(found).filter((times) => times > 1).length;
  const statuses = Object.entries(result.statuses).map(
    ([status, count]) => `${count} × ${status === '0' ? 'no answer' : status}`,
  );
  console.log(
    `| ${name} | ${result.failed} of ${result.requests}${statuses.length ? ` (${statuses.join(', ')})` : ''} | ` +
      `${result.repeated} of ${result.refusedCreates} | ${unique} of ${result.orders}, ${twice} twice | ${result.slowest} ms |`,
  );
  check(`${name}: no delivery lost`, unique >= result.orders);
  check(`${name}: every refused create done by its key`, result.repeated === result.refusedCreates);
  if (!mayFail) check(`${name}: no request failed`, result.failed === 0);
}

/** SIGKILL to the program of a container, as the kernel would: the restart policy starts it again. */
async function killHard(service) {
  const [id] = await idsOf(service);
  const pids = docker('top', id, '-eo', 'pid').split('\n').slice(1).map(Number);
  process.kill(Math.min(...pids), 'SIGKILL');
  await healthy(service);
}
async function healthy(...services) {
  for (let waited = 0; waited < 120; waited++) {
    const states = await Promise.all(
      services.flatMap(async (service) =>
        (await idsOf(service)).map((id) => docker('inspect', '--format', '{{.State.Health.Status}}', id)),
      ),
    );
    if (states.flat().length >= services.length && states.flat().every((state) => state === 'healthy')) return;
    await delay(1_000);
  }
  throw new Error(`${services.join(', ')} did not become healthy`);
}

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
  await drill('API replaced beside a second one', tenant, false, upgrade);
  await backup(tenant);
}

async function psql(sql) {
  const login = ['--username=orders_owner', '--dbname=orders'];
  return (await dc('exec', '-T', 'postgres', 'psql', '-Atc', sql, ...login)).stdout.trim();
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

/** docs/compose.md, without the proxy if its image is missing: a balancer of ours replaces it. */
async function upgrade() {
  const [old] = await idsOf('api');
  await dc('up', '--detach', '--wait', '--no-build', '--no-deps', '--no-recreate', '--scale', 'api=2', 'api');
  targets.splice(
    0,
    targets.length,
    ...(await Promise.all(
      (await idsOf('api')).map(async (id) => [id, `http://${docker('port', id, '3000/tcp').split('\n')[0]}`]),
    )),
  );
  const stopping = run('docker', ['stop', '--time', '40', old]);
  await delay(2_000);
  for (const [index, [id]] of targets.entries()) if (id === old) targets.splice(index, 1);
  await stopping;
  docker('rm', old);
}

/** The targets of the drills' requests: the first one, or all in turn. */
const targets = [];
async function balancer() {
  const { createServer, request } = await import('node:http');
  let turn = 0;
  const server = createServer((incoming, outgoing) => {
    const [, target] = targets[turn++ % targets.length];
    const { hostname, port } = new URL(target);
    const options = { hostname, port, path: incoming.url, method: incoming.method, headers: incoming.headers };
    const onward = request(options, (answer) => {
      outgoing.writeHead(answer.statusCode, answer.headers);
      answer.pipe(outgoing);
    });
    onward.on('error', () => outgoing.writeHead(502).end());
    incoming.pipe(onward);
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  server.unref();
  return `http://127.0.0.1:${server.address().port}`;
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

try {
  cpSync(join(root, 'docker-compose.yml'), join(folder, 'docker-compose.yml'));
  cpSync(join(root, 'deploy'), join(folder, 'deploy'), { recursive: true });
  const settings = {
    ...secrets,
    JWT_SECRET: 'drill '.repeat(8),
    PUBLISHED_PORT: '0',
    WEBHOOK_ALLOW_CIDRS: '172.16.0.0/12,192.168.0.0/16',
    RATE_LIMIT_ENABLED: 'false',
    SIGN_IN_DATABASE_URL: 'postgres://app_sign_in:s%40ss%2Fw@postgres:5432/orders',
  };
  const subnet = 32 * Math.floor(Math.random() * 7) + 32;
  Object.assign(settings, {
    EDGE_SUBNET: `10.250.32.${subnet}/27`,
    EDGE_RANGE: `10.250.32.${subnet + 16}/28`,
    EDGE_PROXY_ADDRESS: `10.250.32.${subnet + 2}`,
  });
  writeFileSync(join(folder, '.env'), Object.entries(settings).map(([name, value]) => `${name}='${value}'\n`).join('')); // prettier-ignore
  const tenant = await smoke();
  targets.push([undefined, await apiUrl()]);
  tenant.api = await balancer();
  if (scope === 'all') await all(tenant);
} catch (error) {
  faults.push(error.message);
  console.error(error);
  console.error((await dc('logs', '--tail', '20').catch(() => ({ stdout: '' }))).stdout);
} finally {
  await run('docker', ['rm', '--force', receiver, `${project}-other-user`]).catch(() => undefined);
  await dc('--profile', '*', 'down', '--volumes', '--timeout', '5').catch(() => undefined);
  rmSync(folder, { recursive: true, force: true });
}
console.log(faults.length === 0 ? 'all drills passed' : `${faults.length} faults:\n${faults.join('\n')}`);
process.exit(faults.length === 0 ? 0 : 1);
