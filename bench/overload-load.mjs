/**
 * The load generator of the overload bench: a process of its own. With a `rate` it is open: requests are sent when they
 * are due, whether earlier ones have responses or not, as independent callers would. Latency counts from the due time
 * of a request. Without a rate it is closed: its connections send again after each response.
 *
 * Messages in: `{ port, scenario, fixtures, connections, rate, warmup, duration }`; out: `{ result }` or `{ failure }`.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeRequests } from './scenarios.mjs';

const HEAD_END = Buffer.from('\r\n\r\n');
/** As many as a server's backlog takes. */
const OPENED_AT_ONCE = 200;
/** Requests that are due and have no connection, at most: beyond it they count as not served. */
const MOST_WAITING = 50_000;

/** One keep-alive connection. */
class Connection {
  dueAt = 0;
  status = 0;
  missing = 0;
  head = undefined;

  constructor(port, run) {
    this.run = run;
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.socket.on('data', (chunk) => this.receive(chunk));
    this.socket.on('error', (error) => run.fail(`socket: ${error.message}`));
    this.socket.on('close', () => run.fail('the server closed a connection'));
  }

  send(request, dueAt) {
    this.dueAt = dueAt;
    this.socket.write(request, 'latin1');
  }

  receive(chunk) {
    if (this.missing === 0) {
      const bytes = this.head ? Buffer.concat([this.head, chunk]) : chunk;
      const end = bytes.indexOf(HEAD_END);
      if (end === -1) {
        this.head = bytes;
        return;
      }
      this.head = undefined;
      const text = bytes.latin1Slice(0, end);
      const length = /\r\ncontent-length: (\d+)/i.exec(text);
      this.status = Number(text.slice(9, 12));
      if (!length) return this.run.fail(`an answer without a length: ${text.slice(0, 300)}`);
      this.missing = end + 4 + Number(length[1]) - bytes.length;
    } else {
      this.missing -= chunk.length;
    }
    if (this.missing === 0) this.run.answered(this);
  }
}

class Run {
  error = undefined;
  counting = false;
  over = false;
  served = [];
  refused = [];
  idle = [];
  /**
   * When those were due that have no connection yet, the next one at `first`: moving up 50,000 for each would be the
   * load.
   */
  waiting = [];
  first = 0;

  constructor({ rate, next, status }) {
    Object.assign(this, { rate, next, status });
  }

  answered(connection) {
    const took = performance.now() - connection.dueAt;
    const { status } = connection;
    if (status !== this.status && status !== 503) this.fail(`an answer of ${status}`);
    if (this.counting) (status === this.status ? this.served : this.refused).push(took);
    if (this.rate === undefined) {
      if (!this.over) connection.send(this.next(), performance.now());
    } else if (this.first < this.waiting.length) connection.send(this.next(), this.waiting[this.first++]);
    else this.idle.push(connection);
  }

  due(at) {
    const connection = this.idle.pop();
    if (connection) connection.send(this.next(), at);
    else if (this.waiting.length - this.first < MOST_WAITING) this.waiting.push(at);
  }

  fail(message) {
    if (!this.over) this.error ??= message;
  }

  /** Sends due requests until the time is over. */
  async go(milliseconds) {
    const began = performance.now();
    let sent = 0;
    while (performance.now() - began < milliseconds && !this.error) {
      if (this.rate !== undefined) {
        const due = Math.floor(((performance.now() - began) * this.rate) / 1000);
        for (; sent < due; sent++) this.due(began + (sent * 1000) / this.rate);
      }
      await sleep(1);
    }
    if (this.error) throw new Error(this.error);
    return (performance.now() - began) / 1000;
  }
}

function quantiles(latencies) {
  const sorted = Float64Array.from(latencies).sort();
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
  return { p50: at(0.5), p99: at(0.99) };
}

async function measure({ port, scenario, fixtures, connections, rate, warmup, duration }) {
  const random = { bytes: randomBytes, uuid: randomUUID };
  const requests = makeRequests(scenario, 'service', JSON.parse(readFileSync(fixtures, 'utf8')), random);
  const run = new Run({ rate, ...requests });
  const open = [];
  while (open.length < connections) {
    const some = Array.from(
      { length: Math.min(OPENED_AT_ONCE, connections - open.length) },
      () => new Connection(port, run),
    );
    await Promise.all(some.map(({ socket }) => once(socket, 'connect')));
    open.push(...some);
  }
  if (rate === undefined) for (const connection of open) connection.send(run.next(), performance.now());
  else run.idle.push(...open);
  await run.go(warmup);
  run.counting = true;
  const seconds = await run.go(duration);
  run.counting = false;
  run.over = true;
  for (const connection of open) connection.socket.destroy();
  return {
    served: run.served.length / seconds,
    refused: run.refused.length / seconds,
    waiting: run.waiting.length - run.first,
    ofServed: quantiles(run.served),
    ofRefused: quantiles(run.refused),
  };
}

process.on('message', (job) => {
  measure(job).then(
    (result) => process.send({ result }),
    (error) => process.send({ failure: `${job.scenario}: ${error.message}` }),
  );
});
process.on('disconnect', () => process.exit(0));
