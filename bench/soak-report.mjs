/** The figures of the soak as tables, for the terminal and for docs/resilience.md. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './processes.mjs';
import { machine, row, whole } from './report.mjs';

const PAGE = join(ROOT, 'docs/resilience.md');
const SHOWN_TABLES = 9;
const MIB = 1024 ** 2;

const seconds = (milliseconds) => `${(milliseconds / 1000).toFixed(1)} s`;
const quantile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
const table = (head, lines) =>
  [row(head), row(head.map((_, i) => (i === 0 ? '---' : '---:'))), ...lines.map(row)].join('\n');

/** The commit that ran, with a mark if files had been changed. */
function commit() {
  const git = (...args) => execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).trim();
  return `${git('rev-parse', '--short', 'HEAD')}${git('status', '--porcelain', '--', 'src', 'migrations') ? ', changed' : ''}`;
}

const killRows = [
  ['workers killed (of these the leader)', (r) => `${r.kills['kill worker'] ?? 0} (${r.led})`],
  ['API processes killed', (r) => r.kills['kill api'] ?? 0],
  [
    'PostgreSQL killed: the postmaster, one backend',
    (r) => `${r.kills['kill postgres'] ?? 0}, ${r.kills['kill backend'] ?? 0}`,
  ],
  ['Redis killed', (r) => r.kills['kill redis'] ?? '–'],
  [
    'frozen: workers, APIs, PostgreSQL, Redis',
    (r) => ['worker', 'api', 'postgres', 'redis'].map((kind) => r.kills[`freeze ${kind}`] ?? 0).join(', '),
  ],
];

const resultRows = [
  ['minutes', (r) => r.minutes.toFixed(1)],
  ['kills', (r) => `**${r.total}**`],
  ...killRows,
  ['requests that succeeded', (r) => whole(sum(r, 'succeeded'))],
  ['refused (503), without a response', (r) => `${whole(sum(r, 'refused'))}, ${whole(sum(r, 'unanswered'))}`],
  ['not sent, since 400 deliveries or 80 requests waited', (r) => whole(r.skipped)],
  ['orders and custom events acknowledged', (r) => `${whole(r.acknowledged.orders)}, ${whole(r.acknowledged.events)}`],
  ['events committed', (r) => whole(r.committed)],
  ['deliveries that had to arrive', (r) => whole(r.expected)],
  ['lost, invented', (r) => `**${r.lost}, ${r.invented}**`],
  ['delivered again after a recorded success', (r) => `**${r.again}**`],
  ['delivered twice, before a success was recorded', (r) => whole(r.repeated)],
  ['pairs of one order that had to keep their order, out of order', (r) => `${whole(r.pairs)}, **${r.disorder}**`],
  [
    'from commit to first arrival: p50, p99, longest',
    (r) => [0.5, 0.99, 1].map((share) => seconds(quantile(r.waits, share))).join(', '),
  ],
  ['everything delivered after the last kill', (r) => seconds(r.drainedMs)],
  ...['api', 'worker', 'redis'].flatMap((kind) => meterRows(kind)),
  ['processes of the service that ended by themselves', (r) => r.ends.length],
  ['other faults', (r) => r.faults.length],
];

const sum = ({ requests }, key) => Object.values(requests).reduce((total, counts) => total + counts[key], 0);

/** A third of a short life may have no sample. */
const figure = (number) => (Number.isNaN(number) ? '–' : number.toFixed(0));

function meterRows(kind) {
  const meter = (r) => r.meters.find((each) => each.kind === kind);
  const title = { api: 'longest-lived API', worker: 'longest-lived worker', redis: 'longest-lived Redis' }[kind];
  return [
    [
      `${title}: minutes, resident MiB by thirds`,
      (r) => (meter(r) ? `${(meter(r).age / 60).toFixed(1)}: ${meter(r).mib.map(figure).join(', ')}` : '–'),
    ],
    [`${title}: descriptors by thirds`, (r) => (meter(r) ? meter(r).descriptors.map(figure).join(', ') : '–')],
  ];
}

/** The runs side by side. */
export function soakTable(results) {
  const lines = resultRows.map(([what, tell]) => [what, ...results.map((r) => tell(r))]);
  const told = lines.filter(([, ...cells]) => cells.some((cell) => cell !== '–'));
  return table(['', ...results.map(({ name }) => name)], told);
}

/** The database of one run: the largest tables, with what remains of them after VACUUM FULL. */
export function sizeTable({ size, compact }) {
  const after = new Map(compact.tables.map((each) => [each.name, each]));
  const shown = size.tables.slice(0, SHOWN_TABLES);
  const rest = size.tables.slice(SHOWN_TABLES);
  const line = (name, tables) => {
    const total = (list, key) => list.reduce((sum, each) => sum + each[key], 0);
    const kept = tables.map((each) => after.get(each.name));
    const rows = total(tables, 'rows');
    const each = rows > 0 ? whole(total(kept, 'bytes') / rows) : '–';
    return [
      name,
      whole(rows),
      (total(tables, 'bytes') / MIB).toFixed(1),
      (total(kept, 'bytes') / MIB).toFixed(1),
      each,
    ];
  };
  const tables = size.tables.reduce((sum, each) => sum + each.bytes, 0);
  const compactTables = compact.tables.reduce((sum, each) => sum + each.bytes, 0);
  return table(
    ['table, with its indexes', 'rows', 'MiB', 'MiB after VACUUM FULL', 'bytes a row then'],
    [
      ...shown.map((each) => line(`\`${each.name.replace('public.', '')}\``, [each])),
      line(`${rest.length} more`, rest),
      [
        'catalogue of PostgreSQL',
        '',
        ((size.bytes - tables) / MIB).toFixed(1),
        ((compact.bytes - compactTables) / MIB).toFixed(1),
        '',
      ],
      ['**database**', '', (size.bytes / MIB).toFixed(1), (compact.bytes / MIB).toFixed(1), ''],
    ],
  );
}

/** Prints a section and, with `write`, puts it between its markers in docs/resilience.md. */
export function publishSection(name, text, version, write) {
  const [begin, end] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`];
  const section = `Commit ${commit()}. ${machine(version)}\n\n${text}`;
  process.stdout.write(`\n${begin}\n\n${section}\n\n${end}\n`);
  if (!write) return;
  const page = readFileSync(PAGE, 'utf8');
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from === -1 || to === -1) throw new Error(`docs/resilience.md has no section ${name}`);
  writeFileSync(PAGE, `${page.slice(0, from)}${begin}\n\n${section}\n\n${page.slice(to)}`);
}
