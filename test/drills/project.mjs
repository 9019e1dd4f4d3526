// The compose project of the drills: the real file in a folder of its own, with secrets and settings, its containers, a
// receiver of webhooks, and checks that are counted.
import { execFile, execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { underLoad } from './tenant.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
export const run = promisify(execFile);
const compose = process.env.COMPOSE ? [process.env.COMPOSE] : ['docker', 'compose'];
export const project = `orders-drill-${process.pid}`;
export const folder = mkdtempSync(join(tmpdir(), 'orders-drill-'));
/** Passwords with characters that a URL must encode. */
export const secrets = {
  POSTGRES_PASSWORD: 'p@ss/w#rd?x',
  SERVICE_DATABASE_PASSWORD: 's@ss/w#rd"x',
  REDIS_PASSWORD: 'r@ss/w#rd"x',
};
const PER_SECOND = 5;
export const faults = [];

export function dc(...args) {
  const [program, ...first] = compose;
  return run(program, [...first, '--project-name', project, '--project-directory', folder, ...args], {
    cwd: folder,
    maxBuffer: 32 * 1024 * 1024,
    env: { ...process.env, COMPOSE_BAKE: 'false' },
  }).catch((error) => {
    throw new Error(`compose ${args.join(' ')}: ${error.stderr || error.message}`);
  });
}
export const docker = (...args) => execFileSync('docker', args, { encoding: 'utf8' }).trim();
export const idsOf = async (service) => (await dc('ps', '--quiet', service)).stdout.trim().split('\n').filter(Boolean);
export const check = (what, ok) => {
  if (!ok) faults.push(what);
  console.log(`${ok ? 'ok  ' : 'FAIL'} ${what}`);
};

/** The API's address on this machine. */
export async function apiUrl() {
  const [id] = await idsOf('api');
  const address = docker('port', id, '3000/tcp').split('\n')[0];
  return `http://${address}`;
}

/** A receiver in the network of the workers, which counts how often it has seen each delivery. */
const RECEIVER = `const seen={};require('http').createServer((q,s)=>{if(q.url==='/seen'){s.end(JSON.stringify(seen));return}
q.resume();q.on('end',()=>{const i=q.headers['webhook-id'];seen[i]=(seen[i]||0)+1;s.end()})}).listen(8080)`;
const receiver = `${project}-receiver`;
export async function startReceiver() {
  docker('run', '--detach', '--name', receiver, '--network', `${project}_outside`, '--network-alias', 'receiver',
    '--entrypoint', 'node', 'orders-saas-api:local', '-e', RECEIVER); // prettier-ignore
}
export function seen() {
  const ask = "fetch('http://127.0.0.1:8080/seen').then(r=>r.text()).then(t=>console.log(t))";
  return JSON.parse(docker('exec', receiver, 'node', '-e', ask));
}

/** A drill under load; deliveries of its orders are waited for. */
export async function drill(name, tenant, mayFail, work) {
  const before = Object.keys(seen()).length;
  const countOrders = async () => Number(await psql('select count(*) from orders'));
  const ordersBefore = await countOrders();
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
  // A repeated create is one order: neither lost nor doubled.
  check(`${name}: as many orders as were acknowledged`, (await countOrders()) - ordersBefore === result.orders);
  const refusals = Object.keys(result.statuses);
  check(
    `${name}: every refusal is a 503`,
    refusals.every((status) => status === '503'),
  );
  if (!mayFail) check(`${name}: no request failed`, result.failed === 0);
}

/** SIGKILL to the program of a container, as the kernel would: the restart policy starts it again. */
export async function killHard(service) {
  const [id] = await idsOf(service);
  const pids = docker('top', id, '-eo', 'pid').split('\n').slice(1).map(Number);
  process.kill(Math.min(...pids), 'SIGKILL');
  await healthy(service);
}
export async function healthy(...services) {
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

/** The answer of a statement, as the owner. */
export async function psql(sql) {
  const login = ['--username=orders_owner', '--dbname=orders'];
  return (await dc('exec', '-T', 'postgres', 'psql', '-Atc', sql, ...login)).stdout.trim();
}

/** docs/compose.md, with a balancer of ours in place of the proxy; `beside` runs while old and new serve. */
export async function upgrade(beside = async () => undefined) {
  const [old] = await idsOf('api');
  await dc('up', '--detach', '--wait', '--no-build', '--no-deps', '--no-recreate', '--scale', 'api=2', 'api');
  targets.splice(
    0,
    targets.length,
    ...(await Promise.all(
      (await idsOf('api')).map(async (id) => [id, `http://${docker('port', id, '3000/tcp').split('\n')[0]}`]),
    )),
  );
  await beside();
  const stopping = run('docker', ['stop', '--time', '40', old]);
  await delay(2_000);
  for (const [index, [id]] of targets.entries()) if (id === old) targets.splice(index, 1);
  await stopping;
  docker('rm', old);
}

/** The targets of the drills' requests: the first one, or all in turn. */
export const targets = [];
/** A balancer of ours, without retries: every failed request is seen. */
export async function balancer() {
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
  // An idle connection that ends while a busy machine uses it again would be a request without an answer.
  server.keepAliveTimeout = 600_000;
  await new Promise((resolve) => server.once('listening', resolve));
  server.unref();
  return `http://127.0.0.1:${server.address().port}`;
}

/** Writes compose's file and `.env` into the folder, in a network that no other run has. */
export function prepare(more = {}) {
  cpSync(join(root, 'docker-compose.yml'), join(folder, 'docker-compose.yml'));
  cpSync(join(root, 'deploy'), join(folder, 'deploy'), { recursive: true });
  // By the process id, so that two runs on one machine do not take the same addresses.
  const third = 32 + ((process.pid >> 3) % 192);
  const subnet = 32 * (process.pid % 8);
  const settings = {
    ...secrets,
    JWT_SECRET: 'drill '.repeat(8),
    PUBLISHED_PORT: '0',
    WEBHOOK_ALLOW_CIDRS: '172.16.0.0/12,192.168.0.0/16',
    RATE_LIMIT_ENABLED: 'false',
    SIGN_IN_DATABASE_URL: 'postgres://app_sign_in:s%40ss%2Fw@postgres:5432/orders',
    EDGE_SUBNET: `10.250.${third}.${subnet}/27`,
    EDGE_RANGE: `10.250.${third}.${subnet + 16}/28`,
    EDGE_PROXY_ADDRESS: `10.250.${third}.${subnet + 2}`,
    ...more,
  };
  writeFileSync(join(folder, '.env'), Object.entries(settings).map(([name, value]) => `${name}='${value}'\n`).join('')); // prettier-ignore
}

/** Runs the drills, removes what they left, says how it went, and ends. */
export async function main(work, afterwards = () => undefined) {
  try {
    await work();
  } catch (error) {
    faults.push(error.message);
    console.error(error);
    console.error((await dc('logs', '--tail', '20').catch(() => ({ stdout: '' }))).stdout);
  } finally {
    await run('docker', ['rm', '--force', receiver, `${project}-other-user`]).catch(() => undefined);
    await dc('--profile', '*', 'down', '--volumes', '--timeout', '5').catch(() => undefined);
    afterwards();
    rmSync(folder, { recursive: true, force: true });
  }
  console.log(faults.length === 0 ? 'all drills passed' : `${faults.length} faults:\n${faults.join('\n')}`);
  process.exit(faults.length === 0 ? 0 : 1);
}
