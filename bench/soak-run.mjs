/** One run of the soak on one kind of queue: load and kills, then everything back, drained, and judged. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { withClient } from './database.mjs';
import { byDelivery, comparedWithLedger, deliveredAgain, lostAndInvented, outOfOrder } from './soak-checks.mjs';
import { SoakClient } from './soak-client.mjs';
import { Killer, pickFrom } from './soak-kills.mjs';
import { SoakLoad, waitUntil } from './soak-load.mjs';
import { Meters } from './soak-meters.mjs';
import { openSystem } from './soak-system.mjs';
import * as verify from './soak-verify.mjs';
import { startAnswering } from './webhooks-processes.mjs';

const TENANTS = 4;
const LOOK_EVERY_MS = 5_000;
/** A delivery that has waited for so long while others go on counts as lost. */
const LATE_MS = 300_000;
const DRAINED_WITHIN_MS = 300_000;
const ENDPOINTS = [
  { name: 'prompt', types: ['*'], ordered: () => false },
  { name: 'slow', types: ['order.*'], ordered: () => true },
  { name: 'flaky', types: ['order.*', 'soak.*'], ordered: (tenant) => tenant < 2 },
];

/** Faults end the run once there are enough of them. */
class Faults {
  list = [];
  constructor(say, most) {
    this.say = say;
    this.most = most;
  }

  add = (what, detail) => {
    this.list.push({ what, detail });
    this.say(`FAULT: ${what}: ${JSON.stringify(detail)}`);
  };

  get areEnough() {
    return this.list.length >= this.most;
  }
}

/**
 * @param {{ name: string, queue: 'postgres' | 'redis', emptiesRedis: boolean }} mode
 * @param {{ minutes: number, seed: number, everyMs: number, perSecond: number, faults: number }} chosen
 * @returns the figures of the run, with its faults
 */
export async function soak(mode, chosen, dir, say) {
  const faults = new Faults(say, chosen.faults);
  mkdirSync(dir, { recursive: true });
  const ends = [];
  const onEnded = (part, life) => {
    ends.push({ part: part.name, how: life.how });
    if (part.kind === 'api' || part.kind === 'worker')
      faults.add(`${part.name} ended by itself`, { how: life.how, log: part.log });
  };
  const system = await openSystem({ ...mode, dir, onEnded });
  const receiver = startAnswering('soak-receiver.mjs');
  const client = new SoakClient(system.apis, faults.add);
  const state = { mode, chosen, system, receiver, client, faults, say, arrivals: [], ends };
  try {
    await prepare(state);
    await loadAndKill(state);
    await drain(state);
    await judge(state);
    return figures(state);
  } finally {
    await client.close();
    await receiver.stop();
    await system.stop();
  }
}

async function prepare(state) {
  const { client, receiver } = state;
  const { port } = await receiver.ask('listen');
  state.tenants = [];
  state.endpoints = [];
  for (let i = 0; i < TENANTS; i++) {
    const body = { email: `owner-${i}@soak.example`, password: 'a password for the soak', tenant_name: `Soak ${i}` };
    const { body: signedIn } = await client.untilDone('prepare', 'POST', '/auth/register', undefined, { body });
    const tenant = { id: signedIn.tenant.id, token: signedIn.access_token, orders: [] };
    state.tenants.push(tenant);
    for (const { name, types, ordered } of ENDPOINTS) {
      const path = `/${i}/${name}`;
      const ordering = ordered(i) ? 'by_aggregate' : 'none';
      const asked = { url: `http://127.0.0.1:${port}${path}`, event_types: types, ordering };
      const { body: made } = await client.untilDone('prepare', 'POST', '/webhooks/endpoints', tenant, { body: asked });
      state.endpoints.push({ id: made.id, tenantId: tenant.id, path, types, ordered: ordered(i) });
    }
  }
}

/** Load and kills, until the time is over or there are enough faults. */
async function loadAndKill(state) {
  const { system, chosen, client, faults, say } = state;
  const load = (state.load = new SoakLoad(client, state.tenants, pickFrom(chosen.seed + 1)));
  const killer = (state.killer = new Killer(system, chosen.seed, chosen.everyMs));
  const meters = (state.meters = new Meters(system.parts));
  const began = performance.now();
  const until = began + chosen.minutes * 60_000;
  load.start(chosen.perSecond);
  const killing = killer.run();
  for (let looks = 1; performance.now() < until && !faults.areEnough; looks++) {
    await sleep(Math.min(LOOK_EVERY_MS, Math.max(1, until - performance.now())));
    meters.sample();
    await look(state).catch((error) => (state.unseen = error.message)); // PostgreSQL is away, or the receiver is busy
    if (looks % 12 === 0) {
      const requests = Object.values(client.counts).reduce((sum, { succeeded }) => sum + succeeded, 0);
      const minute = ((performance.now() - began) / 60_000).toFixed(1);
      say(
        `${state.mode.name} ${minute} min: ${killer.done.length} kills, ${requests} requests, ${state.arrivals.length} arrivals, waiting ${state.waiting}`,
      );
    }
  }
  killer.stop();
  await killing;
  await load.stop();
  state.minutes = (performance.now() - began) / 60_000;
}

/** Fetches new arrivals, and looks for deliveries that are late or arrived again. */
async function look(state) {
  const { system, faults, killer } = state;
  const from = state.arrivals.length;
  await fetchArrivals(state);
  await withClient(system.ownerUrl, async (client) => {
    const { deliveries, outbox } = await verify.readWaiting(client);
    state.waiting = `${deliveries.length} deliveries, ${outbox} events`;
    state.load.waiting = deliveries.length;
    for (const { id, age } of deliveries.filter((delivery) => delivery.age * 1000 > LATE_MS).slice(0, 3)) {
      if (state.late?.has(id)) continue;
      (state.late ??= new Set()).add(id);
      faults.add(`a delivery has waited for ${age} s`, { id });
      state.say(await verify.historyOf(system, id, state.arrivals, killer.done));
    }
    const fresh = new Set(state.arrivals.slice(from).map(({ deliveryId }) => deliveryId));
    await reportAgain(state, client, fresh);
  });
}

async function fetchArrivals(state) {
  for (;;) {
    const { arrivals } = await state.receiver.ask('arrivals', { from: state.arrivals.length });
    if (arrivals.length === 0) return;
    state.arrivals.push(...arrivals);
  }
}

/** @param {Set<string>} [only] deliveries that have arrived lately; otherwise all */
async function reportAgain(state, client, only) {
  const groups = byDelivery(state.arrivals);
  const several = [...groups].filter(([id, group]) => group.length > 1 && (!only || only.has(id)));
  const recorded = await verify.readRecorded(
    client,
    several.map(([id]) => id),
  );
  const frozen = state.killer.done
    .filter(({ what }) => what === 'freeze postgres')
    .map(({ at, milliseconds }) => ({ from: at, to: at + milliseconds }));
  for (const again of deliveredAgain(new Map(several), recorded, frozen)) {
    if (state.again?.has(again.deliveryId)) continue;
    (state.again ??= new Set()).add(again.deliveryId);
    state.faults.add('delivered again after a recorded success', again);
    state.say(await verify.historyOf(state.system, again.deliveryId, state.arrivals, state.killer.done));
  }
}

/** Everything runs again, and what is due arrives. */
async function drain(state) {
  const { system, faults, say } = state;
  const began = performance.now();
  for (const part of system.parts) await part.ready();
  try {
    await waitUntil(
      'every delivery to end',
      async () => {
        const read = withClient(system.ownerUrl, (client) => verify.readWaiting(client));
        const { deliveries, outbox } = await read.catch(() => ({ deliveries: [undefined], outbox: 1 }));
        state.waiting = `${deliveries.length} deliveries, ${outbox} events`;
        return deliveries.length === 0 && outbox === 0;
      },
      DRAINED_WITHIN_MS,
    );
  } catch (error) {
    faults.add(error.message, { waiting: state.waiting });
  }
  state.drainedMs = performance.now() - began;
  say(`${state.mode.name}: all deliveries ended ${(state.drainedMs / 1000).toFixed(1)} s after the last kill`);
}

async function judge(state) {
  const { system, endpoints, faults, load, killer, say } = state;
  state.arrivals = [];
  await fetchArrivals(state);
  await withClient(system.ownerUrl, async (client) => {
    const rows = await verify.readEvents(client);
    const events = new Map(rows.map((event) => [event.id, event]));
    state.events = events;
    const { lost, invented, expected } = lostAndInvented(state.arrivals, events, endpoints);
    const order = outOfOrder(state.arrivals, events, endpoints);
    await reportAgain(state, client);
    const failed = await verify.readFailed(client);
    const compared = comparedWithLedger(load.ledger, await verify.readOrders(client), rows);
    const several = [...byDelivery(state.arrivals).values()].filter(
      (group) => group.filter(({ status }) => status < 300).length > 1,
    );
    state.judged = {
      lost: lost.length,
      invented: invented.length,
      expected,
      again: state.again?.size ?? 0,
      repeated: several.length,
      pairs: order.pairs,
    };
    state.judged.disorder = order.faults.length;
    for (const [what, list] of Object.entries({
      lost,
      invented,
      'out of order': order.faults,
      'ended without success': failed,
    })) {
      if (list.length === 0) continue;
      faults.add(`${list.length} deliveries ${what}`, list.slice(0, 5));
      const id = list[0].deliveryId ?? list[0].id ?? (await deliveryOf(client, list[0]));
      if (id) say(await verify.historyOf(system, id, state.arrivals, killer.done));
    }
    for (const fault of compared.slice(0, 20)) faults.add(fault.what, fault);
    state.size = await verify.readTables(client);
    await client.query('vacuum (full)');
    state.compact = await verify.readTables(client);
  });
  for (const meter of state.meters.summary()) if (meter.grew) faults.add(`${meter.part} grows`, meter);
}

async function deliveryOf(client, { eventId, endpointId }) {
  const { rows } = await client.query('select id from deliveries where event_id = $1 and endpoint_id = $2', [
    eventId,
    endpointId,
  ]);
  return rows[0]?.id;
}

function figures(state) {
  const { events, arrivals, load, killer, client, judged, ends } = state;
  const firsts = new Map();
  for (const { eventId, path, at } of arrivals) {
    const key = `${eventId} ${path}`;
    if (!firsts.has(key)) firsts.set(key, at - Number(events.get(eventId)?.createdAt ?? NaN));
  }
  return {
    name: state.mode.name,
    minutes: state.minutes,
    kills: killer.counts,
    led: killer.done.filter(({ what, led }) => what === 'kill worker' && led).length,
    total: killer.done.length,
    requests: client.counts,
    skipped: load.skipped,
    acknowledged: { orders: load.ledger.orders.size, events: load.ledger.events.size },
    committed: events.size,
    waits: Float64Array.from(firsts.values()).sort(),
    drainedMs: state.drainedMs,
    meters: state.meters.summary(),
    size: state.size,
    compact: state.compact,
    version: state.system.version,
    dir: join(state.system.postgres.log, '..'),
    ...judged,
    ends,
    faults: state.faults.list,
  };
}
