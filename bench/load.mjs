/**
 * The load generator: a process of its own (`child_process.fork`), HTTP/1.1 over plain sockets with keep-alive, a fixed
 * number of connections, each of which sends its next request when the previous response is complete. Requests are
 * written as text and responses are only framed, not parsed, so that its cost is small compared with the server's. Any
 * status other than the expected one ends the run.
 *
 * Messages in: `{ port, pid, requests, connections, warmup, duration }`; out: `{ result }` or `{ failure }`.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { makeRequests } from './scenarios.mjs';
import { cpuSeconds, cpuSecondsOfChildren, residentMiB } from './processes.mjs';

/** Of PostgreSQL's processes, by the postmaster of a server, or those of several. */
const databaseSeconds = (postmaster, database) =>
  [postmaster].flat().reduce((sum, pid) => sum + (pid ? cpuSecondsOfChildren(pid, database) : NaN), 0);

const HEAD_END = Buffer.from('\r\n\r\n');

/** One keep-alive connection. */
class Connection {
  sentAt = 0;
  missing = 0;
  head = undefined;

  constructor(port, run) {
    this.run = run;
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.socket.on('connect', () => this.send());
    this.socket.on('data', (chunk) => this.receive(chunk));
    this.socket.on('error', (error) => run.fail(`socket: ${error.message}`));
    this.socket.on('close', () => run.fail('the server closed a connection'));
  }

  send() {
    const { run } = this;
    if (run.over) return;
    this.sentAt = performance.now();
    this.socket.write(run.next(), 'latin1');
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
      if (!text.startsWith(this.run.expected) || !length) {
        this.run.fail(`an answer of ${text.slice(9, 12)}: ${bytes.toString('utf8').slice(0, 600)}`);
        return;
      }
      this.missing = end + 4 + Number(length[1]) - bytes.length;
    } else {
      this.missing -= chunk.length;
    }
    if (this.missing === 0) {
      this.run.answered(performance.now() - this.sentAt);
      this.send();
    }
  }
}

class Run {
  over = false;
  latencies = undefined;
  error = undefined;

  constructor(expected, next) {
    this.expected = expected;
    this.next = next;
  }

  answered(milliseconds) {
    this.latencies?.push(milliseconds);
  }

  fail(message) {
    if (!this.over) this.error ??= message;
  }
}

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function measure({ port, pid, postmaster, database, side, scenario, fixtures, connections, warmup, duration }) {
  const random = { bytes: randomBytes, uuid: randomUUID };
  const { next, status } = makeRequests(scenario, side, JSON.parse(readFileSync(fixtures, 'utf8')), random);
  const run = new Run(`HTTP/1.1 ${status}`, next);
  const open = Array.from({ length: connections }, () => new Connection(port, run));
  const waitFor = async (milliseconds) => {
    for (const end = performance.now() + milliseconds; performance.now() < end && !run.error;) {
      await sleep(Math.min(100, Math.max(1, end - performance.now())));
    }
    if (run.error) throw new Error(run.error);
  };
  await waitFor(warmup);
  const began = performance.now();
  const cpuBefore = cpuSeconds(pid);
  const databaseBefore = databaseSeconds(postmaster, database);
  const ownBefore = process.cpuUsage();
  run.latencies = [];
  await waitFor(duration);
  const seconds = (performance.now() - began) / 1000;
  const cpu = cpuSeconds(pid) - cpuBefore;
  const databaseCpu = databaseSeconds(postmaster, database) - databaseBefore;
  const { user, system } = process.cpuUsage(ownBefore);
  const latencies = Float64Array.from(run.latencies).sort();
  run.latencies = undefined;
  run.over = true;
  // Requests in flight are completed, so that the next measurement finds the server idle.
  await sleep(200);
  for (const connection of open) connection.socket.destroy();
  const at = (share) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))];
  return {
    requests: latencies.length,
    perSecond: latencies.length / seconds,
    p50: at(0.5),
    p99: at(0.99),
    cpuMicros: (cpu * 1e6) / latencies.length,
    databaseMicros: (databaseCpu * 1e6) / latencies.length,
    generatorMicros: (user + system) / latencies.length,
    residentMiB: residentMiB(pid),
  };
}

process.on('message', (job) => {
  measure(job).then(
    (result) => process.send({ result }),
    (error) => process.send({ failure: `${job.side}, ${job.scenario}: ${error.message}` }),
  );
});
process.on('disconnect', () => process.exit(0));
