/**
 * The HTTP requests as text. Both servers get the same requests, except for the cursor, of which each server has its
 * own kind, and the idempotency key, which only the service gets.
 */

/**
 * @typedef {object} Fixtures
 * @property {{ token: string, key: string, orders: string[], movable: string[], large: boolean, cursor: { service:
 * string, baseline: string } | null }[]} tenants
 */

/** @type {Record<string, { title: string, short: string }>} */
export const SCENARIOS = {
  create: { title: 'create an order of 3 items', short: 'create' },
  get: { title: 'get an order', short: 'get' },
  list: { title: 'list, first page of 20', short: 'list' },
  page1000: { title: 'list, page 1,000', short: 'page 1,000' },
  update: { title: 'change notes and metadata', short: 'update' },
  move: { title: 'change the status, with its audit entry', short: 'move' },
  getKey: { title: 'get an order, API key', short: 'get, key' },
  listKey: { title: 'list, first page of 20, API key', short: 'list, key' },
  createKey: { title: 'create an order of 3 items, API key', short: 'create, key' },
  createOnce: { title: 'create with an Idempotency-Key (baseline: without)', short: 'create once' },
};

/** The scenarios of `--only`: names with commas between them. @throws for an unknown name, which would be left out */
export function chosenScenarios(only) {
  const names = only.split(',');
  const unknown = names.filter((name) => !(name in SCENARIOS));
  if (unknown.length > 0)
    throw new Error(`no scenario ${unknown.join(', ')}; there are: ${Object.keys(SCENARIOS).join(', ')}`);
  return names;
}

/** A valid order of three items. `pick` gives a number below its argument. */
export function newOrder(pick, customerId) {
  const items = [0, 1, 2].map((i) => {
    const product = pick(1000);
    const cents = 100 + pick(90_000);
    return {
      product_id: `prod-${product}`,
      product_name: `Product number ${product}`,
      quantity: 1 + ((product + i) % 4),
      unit_price: `${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, '0')}`,
    };
  });
  return { customer_id: customerId, items, currency: 'USD', notes: 'Leave at the door', metadata: { channel: 'web' } };
}

/** How far the orders of each side have been moved; the load generator lives as long as the run. */
const moved = { service: 0, baseline: 0 };
const WAY = ['confirmed', 'processing', 'completed'];

/** The next order of this side to move, and its next status: every order once, then every order again. */
function nextMove(side, fixtures) {
  const mine = (fixtures.mine ??= {});
  mine[side] ??= fixtures.tenants.flatMap((tenant, i) =>
    tenant.movable.filter((_, n) => (n + i) % 2 === (side === 'baseline' ? 1 : 0)).map((id) => ({ tenant, id })),
  );
  const at = moved[side]++;
  const status = WAY[Math.floor(at / mine[side].length)];
  if (!status) throw new Error('every order has been moved as far as it goes: use a larger --scale');
  return { ...mine[side][at % mine[side].length], status };
}

/**
 * A function that makes the next request's text, and the expected status of its response.
 * @param {string} scenario @param {'service' | 'baseline'} side @param {Fixtures} fixtures
 * @param {{ uuid(): string }} random
 */
export function makeRequests(scenario, side, fixtures, random) {
  const pick = (below) => Math.floor(Math.random() * below);
  const all = fixtures.tenants.filter((tenant) => tenant.orders.length > 0);
  const large = fixtures.tenants.filter((tenant) => tenant.large);
  const any = (tenants) => tenants[pick(tenants.length)];
  const byKey = scenario.endsWith('Key') && side === 'service';
  const head = (method, path, { token, key }) =>
    `${method} /api/v1${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${byKey ? key : token}\r\n` +
    'Accept: application/json, text/plain, */*\r\nUser-Agent: orders-bench/1.0\r\n';
  const send = (method, path, tenant, content, extra = '') => {
    const body = JSON.stringify(content);
    const type = 'Content-Type: application/json\r\n';
    return `${head(method, path, tenant)}${type}${extra}Content-Length: ${body.length}\r\n\r\n${body}`;
  };
  const create = (extra) => send('POST', '/orders', any(all), newOrder(pick, random.uuid()), extra);
  switch (scenario) {
    case 'create':
    case 'createKey':
      return { status: 201, next: () => create('') };
    case 'createOnce':
      return {
        status: 201,
        next: () => create(side === 'service' ? `Idempotency-Key: ${random.uuid()}\r\n` : ''),
      };
    case 'get':
    case 'getKey':
      return {
        status: 200,
        next: () => {
          const tenant = any(all);
          return `${head('GET', `/orders/${any(tenant.orders)}`, tenant)}\r\n`;
        },
      };
    case 'update':
      return {
        status: 200,
        next: () => {
          const tenant = any(all);
          const change = { notes: `Ring ${pick(1e9)} times`, metadata: { channel: 'phone', coupon: null } };
          return send('PATCH', `/orders/${any(tenant.orders)}`, tenant, change);
        },
      };
    case 'move':
      return {
        status: 200,
        next: () => {
          const { tenant, id, status } = nextMove(side, fixtures);
          return send('PATCH', `/orders/${id}/status`, tenant, { status });
        },
      };
    case 'list':
    case 'listKey':
      return { status: 200, next: () => `${head('GET', '/orders', any(large))}\r\n` };
    case 'page1000':
      return {
        status: 200,
        next: () => {
          const tenant = any(large);
          return `${head('GET', `/orders?cursor=${tenant.cursor[side]}`, tenant)}\r\n`;
        },
      };
    default:
      throw new Error(`no scenario '${scenario}'`);
  }
}
