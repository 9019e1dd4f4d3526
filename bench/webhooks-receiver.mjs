/**
 * The receiver of webhooks: a process of its own (`child_process.fork`), plain `node:http`, that responds with 204 and
 * records arrivals with their times. Paths that begin with `/hang` never get a response. It listens on several loopback
 * addresses, so that endpoints have different hosts as elsewhere.
 *
 * Messages in, each with an `id` that the reply repeats: `{ ask: 'listen', addresses }` → `{ port }`, `{ ask: 'reset'
 * }`, `{ ask: 'summary' }`, `{ ask: 'arrivals' }`. Times are milliseconds of the machine's monotonic clock, the same in
 * every process.
 */
import { createServer } from 'node:http';

/** The offset of `data.id`, by which the sender identifies the event. */
const DATA_ID = '"data":{"id":"';
const servers = [];
/** @type {Map<string, { key: string, at: number }>} by `webhook-id` */
let arrivals = new Map();
let repeated = 0;
let hanging = 0;
let first = 0;
let last = 0;

const now = () => Number(process.hrtime.bigint()) / 1e6;

function onRequest(request, response) {
  const chunks = [];
  request.on('error', () => undefined);
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    if (request.url.startsWith('/hang')) {
      hanging++;
      return;
    }
    const at = now();
    const body = (chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)).toString();
    const id = request.headers['webhook-id'];
    if (arrivals.has(id)) repeated++;
    else {
      const begin = body.indexOf(DATA_ID) + DATA_ID.length;
      if (arrivals.size === 0) first = at;
      last = at;
      arrivals.set(id, { key: body.slice(begin, begin + 36), at });
    }
    response.writeHead(204).end();
  });
}

function listenOn(host, port) {
  const server = createServer({ keepAliveTimeout: 120_000 }, onRequest);
  servers.push(server);
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => resolve(server.address().port));
  });
}

const answers = {
  async listen({ addresses }) {
    const port = await listenOn('127.0.0.1', 0);
    for (const address of addresses) await listenOn(address, port);
    return { port };
  },
  reset() {
    arrivals = new Map();
    repeated = hanging = first = last = 0;
    return {};
  },
  summary: () => ({ count: arrivals.size, repeated, hanging, first, last }),
  arrivals: () => ({ arrivals: [...arrivals.values()].map(({ key, at }) => [key, at]) }),
};

process.on('message', async (message) => {
  try {
    process.send({ id: message.id, result: await answers[message.ask](message) });
  } catch (error) {
    process.send({ id: message.id, failure: error.message });
  }
});
process.on('disconnect', () => process.exit(0));
