/**
 * The mixed load of the soak, and the ledger of what was acknowledged. Each order carries a marker in its metadata, by
 * which the checks find it whatever became of its request.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { newOrder } from './scenarios.mjs';

const MOST_IN_FLIGHT = 80;
const KEPT_ORDERS = 200;
/** While more deliveries wait, no request is sent: a slow machine would make the run one of overload. */
const MOST_WAITING = 400;
const WAY = { pending: 'confirmed', confirmed: 'processing', processing: 'completed' };

/** The share of each request, in parts. */
const MIX = {
  create: 20,
  createOnce: 20,
  batch: 4,
  update: 10,
  move: 16,
  event: 10,
  read: 12,
  list: 6,
  export: 2,
};

/**
 * The sent requests, and the acknowledged ones.
 * - `creates`, by marker: the tenant, whether the request was repeated until it succeeded, and the id of the order.
 * - `orders`, by id: the version and the status that were acknowledged, and how many changes had no response.
 * - `events`, by the caller's own id: the tenant; each was repeated until it was accepted.
 * @typedef {{ creates: Map<string, object>, orders: Map<string, object>, events: Map<string, object> }} Ledger
 */

export class SoakLoad {
  /** @type {Ledger} */
  ledger = { creates: new Map(), orders: new Map(), events: new Map() };
  skipped = 0;
  /** The number of waiting deliveries when they were last counted. */
  waiting = 0;
  #running = new Set();
  #timer;
  #kinds = Object.entries(MIX).flatMap(([kind, parts]) => Array.from({ length: parts }, () => kind));

  /**
   * @param {import('./soak-client.mjs').SoakClient} client
   * @param {import('./soak-client.mjs').Tenant[]} tenants
   * @param {(below: number) => number} pick
   */
  constructor(client, tenants, pick) {
    this.client = client;
    this.tenants = tenants;
    this.pick = pick;
  }

  /** Begins to send so many requests a second, with or without responses. */
  start(perSecond) {
    this.#timer = setInterval(() => this.#send(), 1000 / perSecond);
  }

  /** Sends no new requests, and waits for those under way; each of them has a deadline. */
  async stop() {
    clearInterval(this.#timer);
    await Promise.all(this.#running);
  }

  #send() {
    if (this.#running.size >= MOST_IN_FLIGHT || this.waiting > MOST_WAITING) {
      this.skipped++;
      return;
    }
    const kind = this.#kinds[this.pick(this.#kinds.length)];
    const tenant = this.tenants[this.pick(this.tenants.length)];
    const work = this[kind](tenant)
      .catch((error) => this.client.fault(`the load failed: ${kind}`, { error: String(error.stack) }))
      .finally(() => this.#running.delete(work));
    this.#running.add(work);
  }

  #newOrder(tenant, repeated) {
    const marker = randomUUID();
    this.ledger.creates.set(marker, { tenant: tenant.id, repeated });
    const order = newOrder(this.pick, tenant.id);
    return { ...order, metadata: { ...order.metadata, soak: marker } };
  }

  #acknowledge(tenant, { id, version, status, metadata }) {
    const create = this.ledger.creates.get(metadata.soak);
    if (create.id !== undefined && create.id !== id) this.client.fault('two orders of one key', { create, id });
    create.id = id;
    const order = { id, tenant: tenant.id, version, status, unanswered: 0 };
    this.ledger.orders.set(id, order);
    tenant.orders.push(order);
    if (tenant.orders.length > KEPT_ORDERS) tenant.orders.shift();
  }

  /** Without a key, a request that had no response is not repeated: its order may exist. */
  async create(tenant) {
    const answer = await this.client.once('create', 'POST', '/orders', tenant, { body: this.#newOrder(tenant, false) });
    if (answer.status === 201) this.#acknowledge(tenant, answer.body);
  }

  async createOnce(tenant) {
    const body = this.#newOrder(tenant, true);
    const options = { body, key: body.metadata.soak, expect: [409] };
    const answer = await this.client.untilDone('create with a key', 'POST', '/orders', tenant, options);
    if (answer) this.#acknowledge(tenant, answer.body);
  }

  async batch(tenant) {
    const repeated = this.pick(2) === 0;
    const orders = Array.from({ length: 2 + this.pick(4) }, () => this.#newOrder(tenant, repeated));
    const markers = orders.map(({ metadata }) => metadata.soak);
    for (const marker of markers) this.ledger.creates.get(marker).batch = markers;
    const options = { body: { orders }, ...(repeated && { key: markers[0], expect: [409] }) };
    const answer = repeated
      ? await this.client.untilDone('batch', 'POST', '/orders/batch', tenant, options)
      : await this.client.once('batch', 'POST', '/orders/batch', tenant, options);
    if (answer?.status === 201) for (const order of answer.body.data) this.#acknowledge(tenant, order);
  }

  /** Takes an order out of the pool, so that no other request changes it. */
  #takeOrder(tenant) {
    const [order] = tenant.orders.splice(this.pick(tenant.orders.length), 1);
    return order;
  }

  /** A change without a response may have happened, or may still happen: the order is changed no more. */
  async #change(kind, tenant, order, path, body) {
    const answer = await this.client.once(kind, 'PATCH', path, tenant, { body });
    if (answer.status !== 200) {
      order.unanswered++;
      return;
    }
    if (answer.body.version !== order.version + 1) {
      this.client.fault('a change skipped a version', { order, response: answer.body });
    }
    order.version = answer.body.version;
    order.status = answer.body.status;
    tenant.orders.push(order);
  }

  async update(tenant) {
    const order = this.#takeOrder(tenant);
    if (order) await this.#change('update', tenant, order, `/orders/${order.id}`, { notes: `Call ${randomUUID()}` });
  }

  async move(tenant) {
    const order = this.#takeOrder(tenant);
    const status = order && WAY[order.status];
    if (status) await this.#change('change of status', tenant, order, `/orders/${order.id}/status`, { status });
  }

  async event(tenant) {
    const id = randomUUID();
    this.ledger.events.set(id, { tenant: tenant.id });
    const body = { type: 'soak.happened', event_id: id, data: { key: id, amount: this.pick(1e6) } };
    await this.client.untilDone('custom event', 'POST', '/webhooks/events', tenant, { body, expect: [409] });
  }

  /** An acknowledged order is there, as it was acknowledged. */
  async read(tenant) {
    const order = this.#takeOrder(tenant);
    if (!order) return;
    const answer = await this.client.once('read', 'GET', `/orders/${order.id}`, tenant);
    if (answer.status === 200 && (answer.body.version !== order.version || answer.body.status !== order.status)) {
      this.client.fault('a read shows another state than was acknowledged', { order, response: answer.body });
    }
    tenant.orders.push(order);
  }

  async list(tenant) {
    let cursor;
    for (let page = 0; page < 3; page++) {
      const path = `/orders?limit=20${cursor ? `&cursor=${cursor}` : ''}`;
      const answer = await this.client.once('list', 'GET', path, tenant);
      if (answer.status !== 200 || !answer.body.has_more) return;
      cursor = answer.body.next_cursor;
    }
  }

  /** A complete export has every order that was acknowledged before it began. */
  async export(tenant) {
    const before = tenant.orders.slice(-20).map(({ id }) => id);
    const since = new Date().getTime() - 60_000;
    const path = `/orders/export?format=ndjson&created_after=${new Date(since).toISOString()}`;
    const answer = await this.client.once('export', 'GET', path, tenant);
    if (answer.status !== 200) return;
    const lines = answer.body
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));
    const ids = new Set(lines.map(({ id }) => id));
    const missing = before.filter((id) => timeOf(id) > since + 1_000 && !ids.has(id));
    if (missing.length > 0)
      this.client.fault('an export without acknowledged orders', { missing, lines: lines.length });
  }
}

/** The time of a UUIDv7. */
const timeOf = (id) => Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16);

/** Waits until a condition holds, within a bound. @throws after it */
export async function waitUntil(what, ask, timeoutMs, pause = 250) {
  for (const deadline = performance.now() + timeoutMs; !(await ask()); await sleep(pause)) {
    if (performance.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`);
  }
}
