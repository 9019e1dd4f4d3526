// The steps of the restore drill with the restored service: starts the API, writes, and reads an order as a member
// would.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const main = join(dirname(fileURLToPath(import.meta.url)), '../dist/src/main.js');
const START_MS = 60_000;

/** Starts the API, works with it as `work` does, and stops it. */
export async function serve(env, work) {
  const child = spawn(process.execPath, [main, 'api'], {
    env: { PATH: process.env.PATH, PORT: '0', METRICS_PORT: 'off', SHUTDOWN_DELAY: '0ms', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'close');
  let last = '';
  try {
    const listening = new Promise((resolve, reject) => {
      const hear = (line) => {
        last = line;
        if (line.includes('"listening"')) resolve(JSON.parse(line).url);
      };
      for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on('line', hear);
      child.once('close', () => reject(new Error(`the API ended: ${last}`)));
      setTimeout(() => reject(new Error(`the API does not listen after ${START_MS} ms: ${last}`)), START_MS).unref();
    });
    return await work(await listening);
  } finally {
    child.kill('SIGTERM');
    await ended;
  }
}

async function call(url, path, { token, body } = {}) {
  const response = await fetch(url + path, {
    method: body ? 'POST' : 'GET',
    headers: { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) },
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(15_000),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${path}: ${response.status} ${JSON.stringify(answer)}`);
  return answer;
}

/**
 * Registers a person (a write), makes them a reader of the newest order's tenant, and reads that order as this person.
 */
export async function readAnOrder(base, client) {
  await call(base, '/health/ready');
  const who = { email: `restore-drill-${Date.now()}@example.com`, password: randomBytes(16).toString('hex') };
  const { user } = await call(base, '/api/v1/auth/register', { body: { ...who, tenant_name: 'Restore drill' } });
  const { rows } = await client.query('select tenant_id, id, currency from orders order by id desc limit 1');
  const [order] = rows;
  if (!order) return { text: 'registered a tenant; there is no order in the dump to read' };
  await client.query(
    `insert into memberships (tenant_id, user_id, role, created_at, last_used_at) values ($1, $2, 'viewer', now(), now())`,
    [order.tenant_id, user.id],
  );
  const { access_token: token } = await call(base, '/api/v1/auth/login', {
    body: { ...who, tenant_id: order.tenant_id },
  });
  const read = await call(base, `/api/v1/orders/${order.id}`, { token });
  if (read.id !== order.id || read.currency !== order.currency || read.items.length === 0) {
    throw new Error(`order ${order.id} came back as ${JSON.stringify(read)}`);
  }
  const { data } = await call(base, '/api/v1/orders?limit=1', { token });
  if (data[0]?.id !== order.id) throw new Error(`the list does not begin with order ${order.id}`);
  return { text: `read order ${order.id} of ${read.total_amount} ${read.currency}` };
}
