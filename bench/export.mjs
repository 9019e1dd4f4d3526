/**
 * `npm run bench:export`: the memory that the export of a tenant of 1,000,000 orders (`--scale`) adds to the process:
 * read at full speed, as CSV, by four readers at once, and by a slow one. It ends with an error above 64 MiB.
 */
import { request } from 'node:http';
import { parseArgs } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { openDatabase, openPostgres } from './database.mjs';
import { residentMiB, startService } from './processes.mjs';
import { machine, publish, row } from './report.mjs';
import { parseScale } from './seed.mjs';

const LIMIT_MIB = 64;
/** The portion of the slow reader, and its pause. */
const SIP_BYTES = 64 * 1024;
const SIP_PAUSE_MS = 50;
const SLOW_SECONDS = 20;

const say = (line) => process.stderr.write(`${line}\n`);

/** Reads an export; counts its lines. @param {{ pauseMs?: number, seconds?: number }} pace */
function readExport(url, token, format, { pauseMs = 0, seconds = Infinity } = {}) {
  return new Promise((resolve, reject) => {
    const path = `/api/v1/orders/export?format=${format}`;
    const sent = request(new URL(path, url), { headers: { authorization: `Bearer ${token}` } }, async (answer) => {
      try {
        if (answer.statusCode !== 200) throw new Error(`the export answered ${answer.statusCode}`);
        const end = performance.now() + seconds * 1000;
        let [lines, bytes, sip] = [0, 0, 0];
        for await (const chunk of answer) {
          for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, at + 1)) lines++;
          bytes += chunk.length;
          sip += chunk.length;
          if (pauseMs > 0 && sip >= SIP_BYTES) {
            sip = 0;
            await sleep(pauseMs);
          }
          if (performance.now() > end) break;
        }
        resolve({ lines, bytes });
      } catch (error) {
        reject(error);
      }
    });
    sent.on('error', reject).end();
  });
}

/** Runs `work`; returns its result, its duration, and the maximum memory of the process meanwhile. */
async function watched(pid, work) {
  let most = 0;
  const watch = setInterval(() => (most = Math.max(most, residentMiB(pid))), 50);
  const began = performance.now();
  try {
    const given = await work();
    return { given, seconds: (performance.now() - began) / 1000, most };
  } finally {
    clearInterval(watch);
  }
}

async function main() {
  const { values } = parseArgs({
    options: {
      scale: { type: 'string', default: '1m' },
      keep: { type: 'string' },
      write: { type: 'boolean', default: false },
    },
  });
  const orders = parseScale(values.scale);
  const postgres = await openPostgres(values.keep, say);
  try {
    const { serviceUrl, callers } = await openDatabase({ postgres, orders, tenants: 1, say });
    const [{ token }] = callers;
    const ways = {
      'NDJSON, as fast as it comes': (url) => readExport(url, token, 'ndjson').then(all(orders)),
      'CSV, as fast as it comes': (url) => readExport(url, token, 'csv').then(all(orders + 1)),
      'four at once': (url) =>
        Promise.all(Array.from({ length: 4 }, () => readExport(url, token, 'ndjson', { seconds: SLOW_SECONDS }))),
      [`a reader that takes 64 KiB every ${SIP_PAUSE_MS} ms, for ${SLOW_SECONDS} s`]: (url) =>
        readExport(url, token, 'ndjson', { pauseMs: SIP_PAUSE_MS, seconds: SLOW_SECONDS }),
    };
    const lines = [
      row(['reader', 'MiB read', 'seconds', 'MiB before', 'MiB at most', 'added']),
      row(['---', ...Array(5).fill('---:')]),
    ];
    let worst = 0;
    for (const [name, read] of Object.entries(ways)) {
      // Each in a process of its own: growth by an earlier export must not hide the growth by this one.
      const service = await startService(serviceUrl, '/dev/null');
      const list = await fetch(`${service.url}/api/v1/orders`, { headers: { authorization: `Bearer ${token}` } });
      await list.arrayBuffer();
      await sleep(1000);
      const before = residentMiB(service.pid);
      const { given, seconds, most } = await watched(service.pid, () => read(service.url));
      await service.stop();
      const bytes = [given].flat().reduce((sum, one) => sum + one.bytes, 0);
      worst = Math.max(worst, most - before);
      const figures = [bytes / 1024 ** 2, seconds, before, most, most - before];
      lines.push(row([name, ...figures.map((figure) => figure.toFixed(0))]));
      say(lines[lines.length - 1]);
    }
    const heading = `One tenant of ${orders.toLocaleString('en')} orders. ${machine(postgres.version)}`;
    publish('export', [heading, '', ...lines].join('\n'), values.write);
    if (worst > LIMIT_MIB) throw new Error(`an export added ${worst.toFixed(0)} MiB, more than ${LIMIT_MIB}`);
  } finally {
    await postgres.stop();
  }
}

/** Refuses an export that is not whole. */
const all = (lines) => (read) => {
  if (read.lines !== lines) throw new Error(`the export had ${read.lines} lines, not ${lines}`);
  return read;
};

main().catch((error) => {
  say(String(error.stack ?? error).slice(0, 3000));
  process.exitCode = 1;
});
