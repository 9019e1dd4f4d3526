/** Arrivals a second around a kill of a worker, the leading one or another. */
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { median, row } from './report.mjs';
import { SoakClient } from './soak-client.mjs';
import { isLeading, openSystem } from './soak-system.mjs';
import { waitUntil } from './soak-load.mjs';
import { newOrder } from './scenarios.mjs';
import { startAnswering } from './webhooks-processes.mjs';

/** One order every so often, for an endpoint that takes up to 400 ms: some deliveries are always in flight. */
const CREATE_EVERY_MS = 25;
const BEFORE_MS = 6_000;
const AFTER_MS = 14_000;
const BIN_MS = 1_000;

/**
 * Kills a worker of two again and again, by turns the leading one and the other.
 * @returns for each queue and each of the two the rounds' arrivals by second, relative to the kill
 */
export async function measureGaps(modes, { rounds }, dir, say) {
  const results = [];
  let version;
  for (const mode of modes) {
    const place = mkdtempSync(join(dir, `gap-${mode.queue}-`));
    const system = await openSystem({ ...mode, dir: place, workers: 2, onEnded: () => undefined });
    const receiver = startAnswering('soak-receiver.mjs');
    const client = new SoakClient(system.apis, (what, detail) => say(`${what}: ${JSON.stringify(detail)}`));
    ({ version } = system);
    try {
      const tenant = await prepare(client, receiver);
      for (const which of ['leading', 'other']) {
        const measured = [];
        for (let round = 0; round < rounds; round++) {
          measured.push(await killOnce(system, client, receiver, tenant, which));
          say(`${mode.name}, ${which}: ${JSON.stringify(measured.at(-1))}`);
        }
        results.push({ mode: mode.name, which, rounds: measured });
      }
    } finally {
      await client.close();
      await receiver.stop();
      await system.stop();
    }
  }
  return { results, version };
}

async function prepare(client, receiver) {
  const { port } = await receiver.ask('listen');
  const body = { email: 'owner@gap.example', password: 'a password for the soak', tenant_name: 'Gap' };
  const { body: signedIn } = await client.untilDone('prepare', 'POST', '/auth/register', undefined, { body });
  const tenant = { id: signedIn.tenant.id, token: signedIn.access_token };
  const asked = { url: `http://127.0.0.1:${port}/slow`, event_types: ['order.created'] };
  await client.untilDone('prepare', 'POST', '/webhooks/endpoints', tenant, { body: asked });
  return tenant;
}

async function killOnce(system, client, receiver, tenant, which) {
  for (const part of system.parts) await part.ready();
  await waitUntil('a leader', () => system.workers.some((worker) => worker.isUp && isLeading(worker)), 60_000);
  const pick = (below) => Math.floor(Math.random() * below);
  const created = new Map();
  const running = new Set();
  const timer = setInterval(() => {
    const work = client
      .once('create', 'POST', '/orders', tenant, { body: newOrder(pick, tenant.id) })
      .then(({ status, body }) => status === 201 && created.set(body.id, now()))
      .finally(() => running.delete(work));
    running.add(work);
  }, CREATE_EVERY_MS);
  await sleep(BEFORE_MS);
  // With shards every worker may lead.
  const target = system.workers.find((worker) => isLeading(worker) === (which === 'leading')) ?? system.workers[0];
  const killedAt = now();
  target.kill();
  await sleep(AFTER_MS);
  clearInterval(timer);
  await Promise.all(running);
  const arrivals = await arrivalsOf(receiver, created);
  return summarize(created, arrivals, killedAt);
}

const now = () => performance.timeOrigin + performance.now();

/** Waits for the first arrival of each order. @returns that, and the times of arrivals that repeat it */
async function arrivalsOf(receiver, created) {
  const firsts = new Map();
  const repeated = [];
  let from = (receiver.from ??= 0);
  await waitUntil(
    'every order to arrive',
    async () => {
      const { arrivals } = await receiver.ask('arrivals', { from });
      from += arrivals.length;
      for (const { dataId, at } of arrivals) {
        if (firsts.has(dataId)) repeated.push(at);
        else if (created.has(dataId)) firsts.set(dataId, at);
      }
      return firsts.size === created.size;
    },
    60_000,
  );
  receiver.from = from;
  return { firsts, repeated };
}

function summarize(created, { firsts, repeated }, killedAt) {
  const times = [...firsts.values()].map((at) => at - killedAt).sort((a, b) => a - b);
  const bins = Array.from({ length: (BEFORE_MS + AFTER_MS) / BIN_MS }, () => 0);
  for (const time of times) {
    const bin = Math.floor((time + BEFORE_MS) / BIN_MS);
    if (bin >= 0 && bin < bins.length) bins[bin]++;
  }
  const after = [0, ...times.filter((time) => time > 0 && time < AFTER_MS)];
  const gap = Math.max(...after.slice(1).map((time, i) => time - after[i]));
  const waits = [...created].map(([id, at]) => firsts.get(id) - Math.max(at, killedAt));
  return {
    gap: Math.round(gap),
    longest: Math.round(Math.max(...waits)),
    repeated: repeated.length,
    lastRepeated: Math.round(Math.max(0, ...repeated.map((at) => at - killedAt))),
    bins,
  };
}

/** The table: medians of the rounds. */
export function gapTable(results) {
  const first = BEFORE_MS / BIN_MS;
  const shown = [-2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8];
  const head = [
    'killed worker',
    ...shown.map((second) => `${second < 0 ? '−' : '+'}${Math.abs(second)} s`),
    'longest gap',
    'longest wait',
    'sent again, the last after',
  ];
  const lines = results.map(({ mode, which, rounds }) => {
    const of = (tell) => median(rounds.map(tell));
    const bins = shown.map((second) => Math.round(of(({ bins }) => bins[first + second])));
    const most = (key) => Math.max(...rounds.map((round) => round[key]));
    const name = `${which === 'leading' ? 'the leader' : 'another'}, ${mode}`;
    return [
      name,
      ...bins,
      ...['gap', 'longest'].map((key) => `${seconds(of((round) => round[key]))} (at most ${seconds(most(key))})`),
      `${of(({ repeated }) => repeated)}, ${seconds(most('lastRepeated'))}`,
    ];
  });
  const method =
    `${1000 / CREATE_EVERY_MS} orders a second for one endpoint that answers within 400 ms, two workers, ` +
    `${results[0].rounds.length} kills each: first arrivals in each second from the kill on (medians); the longest time ` +
    'without an arrival; the longest wait of an order from its creation or the kill; the deliveries that the killed ' +
    'worker had sent without recording it, which another one sends again when the locks of their jobs have expired.';
  const all = [row(head), row(head.map((_, i) => (i === 0 ? '---' : '---:'))), ...lines.map(row)];
  return `${method}\n\n${all.join('\n')}`;
}

const seconds = (milliseconds) => `${(milliseconds / 1000).toFixed(1)} s`;
