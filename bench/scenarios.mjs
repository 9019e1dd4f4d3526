/**
 * The HTTP requests as text. Both servers get the same requests, except for the cursor, of which each server has its
 * own kind, and the idempotency key, which only the service gets.
 */

/**
 * @typedef {object} Fixtures
 * @property {{ token: string, orders: string[], large: boolean, cursor: { service: string, floor: string } | null }[]}
 * tenants
 */

/** @type {Record<string, { title: string, short: string }>} */
export const SCENARIOS = {
  create: { title: 'create an order of 3 items', short: 'create' },
  get: { title: 'get an order', short: 'get' },
  list: { title: 'list, first page of 20', short: 'list' },
  page1000: { title: 'list, page 1,000', short: 'page 1,000' },
  createOnce: { title: 'create with an Idempotency-Key (floor: without)', short: 'create once' },
};

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

/**
 * A function that makes the next request's text, and the expected status of its response.
 * @param {string} scenario @param {'service' | 'floor'} side @param {Fixtures} fixtures
 * @param {{ uuid(): string }} random
 */
export function makeRequests(scenario, side, fixtures, random) {
  const pick = (below) => Math.floor(Math.random() * below);
  const all = fixtures.tenants.filter((tenant) => tenant.orders.length > 0);
  const large = fixtures.tenants.filter((tenant) => tenant.large);
  const any = (tenants) => tenants[pick(tenants.length)];
  const head = (method, path, { token }) =>
    `${method} /api/v1${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${token}\r\n` +
    'Accept: application/json, text/plain, */*\r\nUser-Agent: orders-bench/1.0\r\n';
  const create = (extra) => {
    const body = JSON.stringify(newOrder(pick, random.uuid()));
    const type = 'Content-Type: application/json\r\n';
    return `${head('POST', '/orders', any(all))}${type}${extra}Content-Length: ${body.length}\r\n\r\n${body}`;
  };
  switch (scenario) {
    case 'create':
      return { status: 201, next: () => create('') };
    case 'createOnce':
      return {
        status: 201,
        next: () => create(side === 'service' ? `Idempotency-Key: ${random.uuid()}\r\n` : ''),
      };
    case 'get':
      return {
        status: 200,
        next: () => {
          const tenant = any(all);
          return `${head('GET', `/orders/${any(tenant.orders)}`, tenant)}\r\n`;
        },
      };
    case 'list':
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
