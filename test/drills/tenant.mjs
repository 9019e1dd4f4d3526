// A tenant of a service under drill: its calls, a steady load, and the results.
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

const TIMEOUT_MS = 15_000;
const item = { product_id: 'drill-1', product_name: 'Drill', quantity: 1, unit_price: '9.99' };
const order = { customer_id: randomUUID(), currency: 'USD', items: [item] };

/** Registers a tenant with an endpoint at `receiver`. */
export async function newTenant(api, receiver) {
  const email = `drill-${randomUUID()}@example.com`;
  const password = 'correct horse battery staple 7';
  const registered = await call(api, 'POST', '/auth/register', { email, password, tenant_name: 'Drill' });
  let token = registered.body.access_token;
  if (!token) token = (await call(api, 'POST', '/auth/login', { email, password })).body.access_token;
  if (!token) throw new Error(`no token: ${registered.status} ${JSON.stringify(registered.body)}`);
  const endpoint = await call(
    api,
    'POST',
    '/webhooks/endpoints',
    { url: receiver, event_types: ['order.created'] },
    { token },
  );
  if (endpoint.status !== 201) throw new Error(`no endpoint: ${endpoint.status} ${JSON.stringify(endpoint.body)}`);
  return { api, token, email, password };
}

/** One request, never an exception: status 0 means no response. */
export async function call(api, method, path, body, { token, key } = {}) {
  const headers = { 'content-type': 'application/json' };
  if (token) headers.authorization = `Bearer ${token}`;
  if (key) headers['idempotency-key'] = key;
  try {
    const init = { method, headers, body: body && JSON.stringify(body), signal: AbortSignal.timeout(TIMEOUT_MS) };
    const answer = await fetch(`${api}/api/v1${path}`, init);
    return { status: answer.status, body: await answer.json().catch(() => ({})) };
  } catch (error) {
    return { status: 0, body: {}, error };
  }
}

/**
 * So many requests a second, half creates under keys and half lists, until `work` has ended and a while longer; then
 * every create that was refused is repeated by its key.
 */
export async function underLoad(tenant, perSecond, work) {
  const requests = [];
  let going = true;
  const load = (async () => {
    for (let number = 0; going; number++) {
      const key = number % 2 === 0 ? randomUUID() : undefined;
      const began = performance.now();
      const request = key
        ? call(tenant.api, 'POST', '/orders', order, { token: tenant.token, key })
        : call(tenant.api, 'GET', '/orders?limit=5', undefined, { token: tenant.token });
      requests.push(request.then(({ status }) => ({ key, status, ms: performance.now() - began })));
      await delay(1_000 / perSecond);
    }
  })();
  await delay(2_000);
  await work();
  await delay(3_000);
  going = false;
  await load;
  const done = await Promise.all(requests);
  const failed = done.filter(({ status }) => status !== 201 && status !== 200);
  const statuses = {};
  for (const { status } of failed) statuses[status] = (statuses[status] ?? 0) + 1;
  const orders = done.filter(({ key, status }) => key && status === 201).length;
  let repeated = 0;
  for (const { key } of failed.filter(({ key }) => key)) {
    for (let attempt = 0; attempt < 20; attempt++) {
      const { status } = await call(tenant.api, 'POST', '/orders', order, { token: tenant.token, key });
      if (status === 201) {
        repeated++;
        break;
      }
      await delay(500);
    }
  }
  const refusedCreates = failed.filter(({ key }) => key).length;
  const slowest = Math.round(Math.max(...done.map(({ ms }) => ms)));
  return {
    requests: done.length,
    failed: failed.length,
    statuses,
    orders: orders + repeated,
    repeated,
    refusedCreates,
    slowest,
  };
}
