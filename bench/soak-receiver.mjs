/**
 * The ledger of arrivals: a process of its own (`child_process.fork`) that is never killed. It receives webhooks, and
 * records each arrival before it answers. The path decides about the answer: `/prompt` 204 at once, `/slow` after up to
 * 400 ms, `/flaky` one time in ten 500, and one time in fifty only after two seconds.
 *
 * Messages in, each with an `id` that the reply repeats: `{ ask: 'listen' }` → `{ port }`, `{ ask: 'arrivals', from }`
 * → the arrivals after the first `from`, `{ ask: 'count' }`. Times are milliseconds of Unix time, with a fraction.
 */
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const SLOW_MS = 400;
const LATE_MS = 2_000;
const CHUNK = 20_000;

/** In the order of their arrival. @type {import('./soak-checks.mjs').Arrival[]} */
const arrivals = [];

const now = () => performance.timeOrigin + performance.now();

/** The status of the answer, and the pause before it. */
function answerOf(path) {
  if (path.endsWith('/slow')) return { status: 204, pause: Math.random() * SLOW_MS };
  if (path.endsWith('/flaky')) {
    return { status: Math.random() < 0.1 ? 500 : 204, pause: Math.random() < 0.02 ? LATE_MS : Math.random() * 100 };
  }
  return { status: 204, pause: 0 };
}

async function onRequest(request, response) {
  const at = now();
  const chunks = [];
  try {
    for await (const chunk of request) chunks.push(chunk);
  } catch {
    return; // the sender was killed during the request
  }
  const { status, pause } = answerOf(request.url);
  const arrival = { deliveryId: request.headers['webhook-id'], path: request.url, at, status };
  try {
    const { id, type, data } = JSON.parse(Buffer.concat(chunks).toString());
    Object.assign(arrival, { eventId: id, type, dataId: data.id ?? data.key });
  } catch (error) {
    arrival.fault = error.message;
  }
  arrivals.push(arrival);
  if (pause > 0) await sleep(pause);
  arrival.answeredAt = now();
  response.writeHead(status).end();
}

const answers = {
  listen() {
    const server = createServer(
      { keepAliveTimeout: 120_000 },
      (request, response) => void onRequest(request, response),
    );
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', () => resolve({ port: server.address().port }));
    });
  },
  count: () => ({ count: arrivals.length }),
  arrivals: ({ from }) => ({ arrivals: arrivals.slice(from, from + CHUNK) }),
};

process.on('message', async (message) => {
  try {
    process.send({ id: message.id, result: await answers[message.ask](message) });
  } catch (error) {
    process.send({ id: message.id, failure: error.message });
  }
});
process.on('disconnect', () => process.exit(0));
