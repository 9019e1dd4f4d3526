/**
 * The two baselines of the webhooks bench, in a process of their own (`child_process.fork`):
 *
 * - `loop`: signs and POSTs the bodies with undici, 50 at a time. No row, no queue, no record of outcomes.
 * - `bullmq`: BullMQ alone, as its documentation has it: ids are added in bulk, and a worker of concurrency 50 takes
 *   them from the queue and makes the same POST.
 *
 * Both send the service's messages for the same events: the same body, headers and signature.
 *
 * Messages in, each with an `id` that the reply repeats: `{ ask: 'loop', count, url }`, `{ ask: 'add', count }` and `{
 * ask: 'work', url }`, which processes present and later jobs until `{ ask: 'stop' }`.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { createPostgresBackend, Queue, setDefaultBackendFactory, Worker } from 'bullmq';
import { Pool } from 'undici';
import { uuidv7 } from 'uuidv7';
import { bodyOf } from './webhooks-events.mjs';

const CONCURRENCY = 50;
const ADD_AT_ONCE = 200;
const QUEUE = 'baseline';
const { REDIS_URL, DATABASE_URL } = process.env;

if (!REDIS_URL) setDefaultBackendFactory(createPostgresBackend);
const redis = REDIS_URL && { host: new URL(REDIS_URL).hostname, port: Number(new URL(REDIS_URL).port) };
const connection = redis
  ? { ...redis, maxRetriesPerRequest: null }
  : { connectionString: DATABASE_URL, schema: 'bullmq', skipMigrations: true };
const key = randomBytes(32);

function poster(url) {
  const { origin, pathname } = new URL(url);
  const pool = new Pool(origin, { connections: CONCURRENCY });
  return async (id) => {
    const body = bodyOf(id, new Date().getTime());
    const timestamp = Math.floor(new Date().getTime() / 1000);
    const signature = `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64')}`;
    const { statusCode, body: answer } = await pool.request({
      method: 'POST',
      path: pathname,
      headers: {
        'webhook-id': id,
        'webhook-timestamp': String(timestamp),
        'webhook-signature': signature,
        'content-type': 'application/json',
        'user-agent': 'bench',
      },
      body,
    });
    await answer.dump();
    if (statusCode !== 204) throw new Error(`answered ${statusCode}`);
  };
}

let queue;
let worker;

const answers = {
  async loop({ count, url }) {
    const post = poster(url);
    let left = count;
    const lane = async () => {
      while (left-- > 0) await post(uuidv7());
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, lane));
    return {};
  },
  async add({ count }) {
    queue ??= new Queue(QUEUE, { connection, defaultJobOptions: { removeOnComplete: true, removeOnFail: true } });
    for (let added = 0; added < count; added += ADD_AT_ONCE) {
      const ids = Array.from({ length: Math.min(ADD_AT_ONCE, count - added) }, () => uuidv7());
      await queue.addBulk(ids.map((id) => ({ name: 'post', data: { id }, opts: { jobId: id } })));
    }
    return {};
  },
  async work({ url }) {
    const post = poster(url);
    worker = new Worker(QUEUE, (job) => post(job.data.id), { connection, concurrency: CONCURRENCY });
    worker.on('error', (error) => process.stderr.write(`baseline: ${error.message}\n`));
    return {};
  },
  async stop() {
    await worker?.close();
    await queue?.drain();
    worker = undefined;
    return {};
  },
};

process.on('message', async (message) => {
  try {
    process.send({ id: message.id, result: await answers[message.ask](message) });
  } catch (error) {
    process.send({ id: message.id, failure: error.message });
  }
});
process.on('disconnect', () => process.exit(0));
