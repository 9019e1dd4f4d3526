// Receives webhooks: WEBHOOK_SECRET=whsec_… PORT=8080 node receiver.mjs
import { createServer } from 'node:http';
import { verify } from './verify.mjs';

const SECRET = process.env.WEBHOOK_SECRET;
const MAX_BODY_BYTES = 1024 * 1024;
/** Ids of accepted messages. In production, store them in a table with the message: this set ends with the process. */
const taken = new Set();

createServer(async (request, response) => {
  const status = await receive(request).catch(() => 500);
  response.writeHead(status, status === 413 ? { connection: 'close' } : {}).end();
}).listen(Number(process.env.PORT ?? 8080), '127.0.0.1', function () {
  console.log(`listening on http://127.0.0.1:${this.address().port}/webhooks`);
});

/** Returns the status of the response. */
async function receive(request) {
  if (request.method !== 'POST' || request.url !== '/webhooks') return 404;
  const chunks = [];
  let size = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) return 413;
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks);
  try {
    verify(SECRET, request.headers, body);
  } catch (error) {
    console.log(`refused: ${error.message}`);
    return 401;
  }
  // The same message may come twice: acknowledge it again, and do no more.
  const id = request.headers['webhook-id'];
  if (taken.has(id)) {
    console.log(`duplicate ${id}`);
    return 204;
  }
  taken.add(id);
  // Respond first, work later: a message without a response within 15 seconds is sent again.
  setImmediate(work, JSON.parse(body));
  return 204;
}

function work(event) {
  console.log(`processed ${event.type} ${event.id}`);
}
