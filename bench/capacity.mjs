/**
 * Derives the needs of 1,000,000 tenants and 100,000 requests a second from the measurements in README.md: the
 * arithmetic of docs/scaling.md. `node bench/capacity.mjs --write` writes it there, as does every command that writes a
 * measurement; without it the script prints it, with a FILE in place of README.md.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const MEASUREMENTS = join(root, 'bench/README.md');
const DOCUMENT = join(root, 'docs/scaling.md');
const [BEGIN, END] = ['<!-- capacity:begin -->', '<!-- capacity:end -->'];

/** Assumptions, since they cannot be measured in advance: change them here to see the effect. */
const ASSUMED = {
  requests: 100_000,
  mix: { get: 0.6, list: 0.25, create: 0.15 },
  meanOfPeak: 0.2,
  processBusy: 0.7,
  databaseBusy: 0.6,
  poolSize: 20,
};
const SECONDS_A_DAY = 86_400;
const GIB = 1024 ** 3;

const number = (text) => Number(text.replaceAll(',', ''));
const whole = (value) => Math.round(value).toLocaleString('en');

function section(text, name) {
  const match = new RegExp(`<!-- ${name}:begin -->([^]*?)<!-- ${name}:end -->`).exec(text);
  if (!match) throw new Error(`bench/README.md has no section ${name}`);
  return match[1];
}

/** The figures that are used, out of the tables of bench/README.md. */
function measurements(text) {
  const bench = section(text, 'bench');
  const cores = Number(/(\d+) cores/.exec(bench)?.[1]);
  const of = (title) => {
    const line = bench.split('\n').find((one) => one.startsWith(`| ${title} `));
    const cells = line?.split('|').map((cell) => cell.trim());
    if (!cells) throw new Error(`bench/README.md has no line '${title}'`);
    return { perSecond: number(cells[3]), micros: number(cells[7]), MiB: number(cells[8]) };
  };
  const [, orders, size] = /([\d,]+) orders \(([\d.]+) GiB\) \| takes/.exec(section(text, 'scale')) ?? [];
  const growth = [...section(text, 'scale').matchAll(/\| × ([\d.]+) \|$/gm)].map(([, factor]) => Number(factor));
  const webhooks = /^\| 1,000 endpoints.*$/m.exec(section(text, 'webhooks'))?.[0];
  // The row with the most workers is the last one.
  const several = [...section(text, 'webhooks').matchAll(/^\| 1,000 endpoints .*? (\d+) workers?: .*$/gm)].at(-1);
  return {
    cores,
    get: of('get an order'),
    list: of('list, first page of 20'),
    create: of('create an order of 3 items'),
    bytesPerOrder: (Number(size) * GIB) / number(orders),
    orders: number(orders),
    growth: Math.max(...growth),
    deliveries: [...(webhooks ?? '').matchAll(/([\d,]+)\/s/g)].map(([, rate]) => number(rate)),
    senders: several?.[1],
    deliveryMicros: [...(several?.[0] ?? '').matchAll(/([\d,]+) µs/g)].map(([, micros]) => number(micros)),
  };
}

/** The table, from the measurements in a file like README.md. */
export function capacity(file = MEASUREMENTS) {
  const measured = measurements(readFileSync(file, 'utf8'));
  const { requests, mix, meanOfPeak, processBusy, databaseBusy, poolSize } = ASSUMED;
  const kinds = Object.keys(mix);
  const each = (value) => kinds.map((kind) => whole(value(measured[kind]))).join(', ');
  const mean = (value) => kinds.reduce((sum, kind) => sum + mix[kind] * value(measured[kind]), 0);
  const machine = ({ perSecond }) => (measured.cores * 1e6) / perSecond;
  const database = (kind) => machine(kind) - kind.micros;
  const node = mean(({ micros }) => micros);
  const apiCores = (requests * node) / 1e6;
  const processes = Math.ceil(apiCores / processBusy);
  const statements = (requests * mean(database) * measured.growth) / 1e6;
  const lists = (requests * mix.list * database(measured.list) * measured.growth) / 1e6;
  const sessions = (requests * database(measured.get)) / 1e6;
  const creates = requests * mix.create;
  const daily = creates * meanOfPeak * SECONDS_A_DAY * measured.bytesPerOrder;
  const { deliveries, deliveryMicros, senders } = measured;
  const workers =
    deliveryMicros.length > 0
      ? deliveryMicros.map((micros) => Math.ceil((creates * micros) / 1e6 / processBusy))
      : deliveries.map((rate) => Math.ceil(creates / rate));
  const rows = [
    ['assumed: requests a second, at the peak', whole(requests), ''],
    ['assumed: get, list, create', kinds.map((kind) => `${mix[kind] * 100} %`).join(', '), ''],
    ["Node's CPU for a get, a list, a create", `${each(({ micros }) => micros)} µs`, '*CPU µs/req*, service'],
    ["the whole machine's", `${each(machine)} µs`, `${measured.cores} cores ÷ *req/s*, service`],
    ["PostgreSQL's, at most", `${each(database)} µs`, 'the difference; the load generator is in it'],
    ['cores that API processes keep busy', whole(apiCores), `the mix: ${whole(node)} µs a request`],
    ['**API processes**', `**${processes}**`, `each a core, ${processBusy * 100} % busy`],
    [
      'their memory',
      `${whole((processes * Math.max(...kinds.map((kind) => measured[kind].MiB))) / 1024)} GiB`,
      '*resident MiB*',
    ],
    ['connections to PgBouncer', whole(processes * poolSize), `\`DB_POOL_SIZE\` ${poolSize}`],
    [
      'cores that statements keep busy, at most',
      whole(statements),
      `the mix: ${whole(mean(database))} µs a request, × ${measured.growth} for a hundred times the rows (*Scale*)`,
    ],
    ['of these lists, which a replica can serve', whole(lists), ''],
    [
      'cores that reading sessions keeps busy, at most',
      whole(sessions),
      'where no session calls twice in a second: one more read a request, priced as a get',
    ],
    [
      '**cores of PostgreSQL, at most**',
      `**${whole((statements + sessions) / databaseBusy)}**`,
      `${databaseBusy * 100} % busy`,
    ],
    [
      'an order on disk, with 3 items, history and indexes',
      `${whole(measured.bytesPerOrder)} bytes`,
      `*Scale*: ${whole(measured.orders)} orders`,
    ],
    [
      'what a day adds, without events and deliveries',
      `${whole(daily / GIB)} GiB`,
      `${whole(creates)} creates a second, the mean ${meanOfPeak * 100} % of the peak (assumed)`,
    ],
    ['events a second', whole(creates), 'one for each create'],
    workers.length > 0
      ? [
          '**workers that they need**',
          `**${[...new Set([Math.min(...workers), Math.max(...workers)])].join(' to ')}**`,
          deliveryMicros.length > 0
            ? `*Webhooks*, 1,000 endpoints, ${senders} workers: ${deliveryMicros.map(whole).join(' and ')} µs a delivery; each a core, ${processBusy * 100} % busy`
            : `*Webhooks*, 1,000 endpoints: ${deliveries.map(whole).join(' and ')} deliveries a second on one machine`,
        ]
      : ['workers that they need', 'not measured', '*Webhooks* has no figures yet'],
  ];
  return ['| | | from |', '| --- | ---: | --- |', ...rows.map((cells) => `| ${cells.join(' | ')} |`)].join('\n');
}

/** docs/scaling.md in its current form, and with the current table. */
export function renewedScaling() {
  const text = readFileSync(DOCUMENT, 'utf8');
  const [from, to] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (from === -1 || to < from) throw new Error(`docs/scaling.md has lost its markers: ${BEGIN} … ${END}`);
  return { text, renewed: `${text.slice(0, from)}${BEGIN}\n\n${capacity()}\n\n${text.slice(to)}` };
}

/** Puts the table of today into docs/scaling.md. */
export function writeScaling() {
  writeFileSync(DOCUMENT, renewedScaling().renewed);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.argv[2] === '--write') writeScaling();
  else process.stdout.write(`${capacity(process.argv[2])}\n`);
}
