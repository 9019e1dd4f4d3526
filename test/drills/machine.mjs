// Drills with another release, much memory, a proxy, the profiles and a full disk, as root:
// `node test/drills/machine.mjs [upgrade memory proxy profiles disk]`. Beside the images of compose.mjs they take
// `orders-saas-api:before`, of an earlier commit, and those of `images.sh more`; a drill whose image is missing is
// skipped, loudly.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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
  main,
  prepare,
  project,
  psql,
  startReceiver,
  targets,
  upgrade,
} from './project.mjs';
import { call, newTenant } from './tenant.mjs';

const shell = (command) => execFileSync('sh', ['-c', command], { stdio: 'pipe', encoding: 'utf8' });
const chosen = process.argv.slice(2);
const wanted = (name) => chosen.length === 0 || chosen.includes(name);
/** Not below /mnt, which Debian's node_exporter leaves out. */
const disk = `/srv/${project}`;
const PROFILES = ['--profile', 'proxy', '--profile', 'tools', '--profile', 'observability'];

/** Whether the images are there; a missing one is told. */
function have(what, ...images) {
  const missing = images.filter((image) => docker('image', 'ls', '--quiet', image) === '');
  if (missing.length > 0) console.log(`\n*** SKIPPED: ${what}: no image ${missing.join(', ')} ***\n`);
  // Where all can be had (GitHub), a skip is a failure.
  if (missing.length > 0 && process.env.SKIPS === 'refused') check(`${what} is drilled`, false);
  return missing.length === 0;
}
const imageOf = async (service) =>
  JSON.parse((await dc(...PROFILES, 'config', '--format', 'json')).stdout).services[service].image;

/** PostgreSQL's volume is a file system of its own, of 400 MiB. */
function smallDisk() {
  const image = `${folder}/disk.img`;
  mkdirSync(disk, { mode: 0o755 });
  shell(
    `truncate -s 400M ${image} && mkfs.ext4 -q -m 0 ${image} && mount -o loop ${image} ${disk} && mkdir ${disk}/data`,
  );
  const volume = { driver_opts: { type: 'none', o: 'bind', device: `${disk}/data` } };
  writeFileSync(join(folder, 'drill.yml'), JSON.stringify({ volumes: { 'postgres-data': volume } }));
  process.env.COMPOSE_FILE = 'docker-compose.yml:drill.yml';
}

/** The rules fire within seconds in place of minutes, and Prometheus looks as often. */
function impatientRules() {
  const change = (name, ...changes) => {
    const file = join(folder, 'deploy', 'prometheus', name);
    let text = readFileSync(file, 'utf8');
    for (const [from, to] of changes) text = text.replaceAll(from, to);
    writeFileSync(file, text);
  };
  change('data-alerts.yml', ['for: 10m', 'for: 15s']);
  change('alerts.yml', ['for: 2m', 'for: 30s']);
  change('prometheus.yml', ['interval: 15s', 'interval: 5s']);
}

/** The release before and this one serve side by side, on the newer schema; then the older one leaves. */
async function fromTheReleaseBefore(tenant) {
  await drill('upgrade from the release before', tenant, false, async () => {
    process.env.IMAGE_TAG = 'local';
    const migrated = (await dc('run', '--rm', 'migrate')).stdout.trim();
    console.log(`migrate of the new release: ${migrated.slice(0, 200)}`);
    await upgrade(async () => {
      const tags = (await idsOf('api')).map((id) => docker('inspect', '--format', '{{.Config.Image}}', id));
      check('both releases serve', tags.sort().join() === 'orders-saas-api:before,orders-saas-api:local');
      await delay(8_000);
    });
    await dc('up', '--detach', '--wait', '--no-build', '--no-deps', 'worker');
  });
  const [id] = await idsOf('worker');
  check(
    'the worker is the new one',
    docker('inspect', '--format', '{{.Config.Image}}', id) === 'orders-saas-api:local',
  );
}

/** Forty batches of 7.9 MiB of one tenant at once, in a container of 512 MiB. */
async function memory(tenant) {
  const order = {
    customer_id: crypto.randomUUID(),
    currency: 'USD',
    items: [{ product_id: 'a', product_name: 'A', quantity: 1, unit_price: '1.00' }],
  };
  const text = JSON.stringify({ orders: [order] });
  const body = text.slice(0, -1) + ' '.repeat(Math.floor(7.9 * 1024 * 1024)) + '}';
  const api = await apiUrl();
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${tenant.token}` };
  const send = () =>
    fetch(`${api}/api/v1/orders/batch`, { method: 'POST', headers, body }).then(
      async (answer) => (await answer.text(), answer.status),
      () => 0,
    );
  const statuses = {};
  for (const status of await Promise.all(Array.from({ length: 40 }, send))) {
    statuses[status] = (statuses[status] ?? 0) + 1;
  }
  const [id] = await idsOf('api');
  const state = JSON.parse(docker('inspect', id))[0];
  console.log(`40 batches of 7.9 MiB: ${JSON.stringify(statuses)}; highest memory ${highest(state.Id)} MiB of 512`);
  check('the container has 512 MiB', state.HostConfig.Memory === 512 * 1024 * 1024);
  check(
    'it was neither killed nor restarted',
    !state.State.OOMKilled && state.RestartCount === 0 && state.State.Running,
  );
  check('some batches were done, none failed by itself', statuses[201] > 0 && !(500 in statuses));
  const after = await call(api, 'POST', '/orders', order, { token: tenant.token, key: crypto.randomUUID() });
  check('it goes on serving', after.status === 201);
}
function highest(id) {
  for (const file of [
    `/sys/fs/cgroup/memory/docker/${id}/memory.max_usage_in_bytes`,
    `/sys/fs/cgroup/system.slice/docker-${id}.scope/memory.peak`,
    `/sys/fs/cgroup/docker/${id}/memory.peak`,
  ]) {
    try {
      return Math.round(Number(readFileSync(file, 'utf8')) / 1024 / 1024);
    } catch {
      // The other version of control groups.
    }
  }
  return 'unknown';
}

/** Sign-ins from a container with an address of its own, over TLS that its client verifies; prints the statuses. */
const CALLER = `const [ca,times,email,password]=JSON.parse(process.argv[1]);const https=require('https');
const one=(n)=>new Promise((done)=>{const q=https.request({host:'proxy',port:443,servername:'localhost',ca,method:'POST',
path:'/api/v1/auth/login',headers:{host:'localhost','content-type':'application/json','x-forwarded-for':'203.0.113.'+(n%250)}},
(a)=>{a.resume();a.on('end',()=>done(a.statusCode))});q.on('error',(e)=>done(e.code));
q.end(JSON.stringify({email:email||'none-'+n+'@example.com',password}))});
(async()=>{const all=[];for(let n=0;n<times;n++)all.push(await one(n));console.log(JSON.stringify(all))})()`;
function caller(ca, times, email, password) {
  const args = JSON.stringify([ca, times, email, password]);
  return JSON.parse(
    docker(
      'run',
      '--rm',
      '--network',
      `${project}_outside`,
      '--entrypoint',
      'node',
      'orders-saas-api:local',
      '-e',
      CALLER,
      args,
    ),
  );
}

/** One caller's wrong passwords end its own sign-ins alone; what it writes into X-Forwarded-For changes nothing. */
async function proxy(tenant) {
  if (!have('proxy', await imageOf('proxy'))) return;
  await dc('--profile', 'proxy', 'up', '--detach', '--wait', '--no-build', '--no-deps', 'proxy');
  const [id] = await idsOf('proxy');
  let ca = '';
  for (let waited = 0; waited < 30 && ca === ''; waited++) {
    try {
      ca = docker('exec', id, 'cat', '/data/caddy/pki/authorities/local/root.crt');
    } catch {
      await delay(500);
    }
  }
  const guesses = caller(ca, 70, '', 'a wrong password 1');
  const refused = guesses.filter((status) => status === 429).length;
  console.log(
    `70 wrong passwords of one caller: ${guesses.filter((status) => status === 401).length} × 401, ${refused} × 429`,
  );
  check('the caller of wrong passwords is refused', refused === 10 && guesses.at(-1) === 429);
  // The first container is gone, and its address may be given again: another one keeps it meanwhile.
  const kept = `${project}-other-user`;
  docker(
    'run',
    '--detach',
    '--name',
    kept,
    '--network',
    `${project}_outside`,
    '--entrypoint',
    'sleep',
    'orders-saas-api:local',
    '60',
  );
  const honest = caller(ca, 1, tenant.email, tenant.password);
  docker('rm', '--force', kept);
  check(`another caller signs in meanwhile (${honest})`, honest[0] === 200);
}

/** The JSON at an address in the network of the profile `observability`. */
function fetchInside(url) {
  const ask = 'fetch(process.argv[1]).then(r=>r.text()).then(t=>console.log(t))';
  const args = ['--rm', '--network', `${project}_observability`, '--entrypoint', 'node', 'orders-saas-api:local'];
  return JSON.parse(docker('run', ...args, '-e', ask, url));
}

async function query(text) {
  return fetchInside(`http://prometheus:9090/api/v1/query?query=${encodeURIComponent(text)}`).data.result;
}

/** A trace in Jaeger leads from a request of the API to the worker's delivery. */
async function traces(tenant) {
  let found = [];
  await drill('traces', tenant, true, () => delay(2_000));
  for (let waited = 0; waited < 30; waited++) {
    const { data } = fetchInside('http://collector:16686/api/traces?service=orders-saas-api&limit=20');
    found = (data ?? []).filter(({ processes }) => {
      const names = Object.values(processes).map(({ serviceName }) => serviceName);
      return names.includes('orders-saas-api') && names.includes('orders-saas-worker');
    });
    if (found.length > 0) break;
    await delay(1_000);
  }
  check('Jaeger has a trace of a request and of its webhook', found.length > 0);
}

/** Both profiles together: the queue's worker owns all shards while the other one restarts, and no page is sent. */
async function leader(tenant) {
  const services = ['prometheus', 'alertmanager', 'node-exporter', 'postgres-exporter', 'redis-exporter'];
  const images = await Promise.all(services.map(imageOf));
  if (!have('observability', ...images)) return false;
  for (const service of ['grafana', 'collector', 'mail'])
    if (have(service, await imageOf(service))) services.push(service);
  await dc(...PROFILES, 'up', '--detach', '--wait', '--no-build', '--no-deps', ...services, 'queue-ui');
  await delay(15_000);
  const up = (await query('up')).map(({ metric, value }) => `${metric.job} ${metric.role ?? ''} ${value[1]}`.trim());
  console.log(`targets: ${up.sort().join(', ')}`);
  check('Prometheus sees all processes', up.length === 6 && up.every((target) => target.endsWith(' 1')));
  if (services.includes('collector')) await traces(tenant);
  await dc('restart', '--timeout', '40', 'worker');
  let pages = 0;
  for (let waited = 0; waited < 9; waited++) {
    await delay(5_000);
    pages += (await query('ALERTS{alertname="NoLeader",alertstate="firing"}')).length;
  }
  const [shards] = await query('max(webhook_shards)');
  const [owned] = await query('sum(webhook_shards_owned)');
  console.log(`shards owned: ${owned?.value[1]} of ${shards?.value[1]}, pages ${pages}`);
  check(
    'each shard has one owner, and no page says that none leads',
    pages === 0 && Number(shards?.value[1]) > 0 && owned?.value[1] === shards?.value[1],
  );
  return services;
}

/** No room for PostgreSQL until the alert has become a mail; then there is room. `observers` are services that run. */
async function fullDisk(tenant, observers) {
  const mailed = () => {
    const { messages } = fetchInside('http://mail:8025/api/v1/messages?limit=100');
    return messages.some(({ Subject }) => Subject.startsWith('[FIRING') && Subject.includes('DiskFillsUp'));
  };
  const fired = async () => {
    const [alert] = await query(`ALERTS{alertname="DiskFillsUp",alertstate="firing",mountpoint="${disk}"}`);
    return alert !== undefined;
  };
  await drill('full disk', tenant, true, async () => {
    shell(
      `dd if=/dev/zero of=${disk}/fill bs=1M 2>/dev/null; dd if=/dev/zero of=${disk}/fill2 bs=4k 2>/dev/null; sync; true`,
    );
    // The next segments of the log need room at once.
    for (let tries = 0; tries < 12; tries++) {
      const went = await psql('insert into "drill" default values; select pg_switch_wal()').then(() => true, () => false); // prettier-ignore
      if (!went) break;
    }
    let seen = !observers;
    let told = !observers?.includes('mail');
    for (let waited = 0; waited < 24 && (waited < 3 || !seen || !told); waited++) {
      await delay(5_000);
      seen ||= await fired();
      told ||= mailed();
    }
    if (observers) check('the alert of the disk fires', seen);
    if (observers?.includes('mail')) check('the alert of the disk is a mail in the mail catcher', told);
    rmSync(`${disk}/fill`);
    rmSync(`${disk}/fill2`);
    await healthy('postgres');
    await delay(5_000);
  });
}

prepare({
  QUEUE_UI_PASSWORD: 'a password of the drill',
  RATE_LIMIT_ENABLED: 'true',
  OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318',
});
smallDisk();
impatientRules();
for (const name of [
  'PROMETHEUS',
  'ALERTMANAGER',
  'PROXY_HTTP',
  'PROXY_HTTPS',
  'QUEUE_UI',
  'GRAFANA',
  'TRACES',
  'MAIL',
  'SMTP',
])
  process.env[`${name}_PORT`] = '0';

await main(
  async () => {
    const before = wanted('upgrade') && have('upgrade', 'orders-saas-api:before');
    if (before) process.env.IMAGE_TAG = 'before';
    await dc('up', '--detach', '--wait', '--no-build');
    await psql('create table public.drill (at timestamptz default now())');
    await startReceiver();
    const api = await apiUrl();
    targets.push([undefined, api]);
    const tenant = await newTenant(api, 'http://receiver:8080/hook');
    tenant.api = await balancer();
    if (before) await fromTheReleaseBefore(tenant);
    if (wanted('memory')) await memory(tenant);
    if (wanted('proxy')) await proxy(tenant);
    const observers = wanted('profiles') && (await leader(tenant));
    if (wanted('disk')) await fullDisk(tenant, observers);
  },
  () => shell(`umount ${disk} && rmdir ${disk}`),
);
