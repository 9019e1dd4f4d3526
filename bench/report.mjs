/** Medians of the rounds, as the table in README.md. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { writeScaling } from './capacity.mjs';
import { ROOT } from './processes.mjs';

const README = join(ROOT, 'bench/README.md');

export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The median of each figure of several measurements. */
export function medians(results) {
  return Object.fromEntries(Object.keys(results[0]).map((key) => [key, median(results.map((result) => result[key]))]));
}

/** The machine of the measurement, in one line. */
export function machine(postgresVersion) {
  const model = cpus()[0]?.model ?? 'unknown CPU';
  const system = execFileSync('uname', ['-srm'], { encoding: 'utf8' }).trim();
  return (
    `${new Date().toISOString().slice(0, 10)}, ${system}, ${cpus().length} cores (${model}), ` +
    `${Math.round(totalmem() / 1024 ** 3)} GiB, Node ${process.version}, PostgreSQL ${postgresVersion} with fsync on; ` +
    'load generator, server and database share the cores.'
  );
}

export const whole = (number) => Math.round(number).toLocaleString('en');
export const row = (cells) => `| ${cells.join(' | ')} |`;

/**
 * The table of service and baseline.
 * @param {{ title: string, service: Record<string, number>[], baseline: Record<string, number>[] }[]} measured
 */
export function table(measured) {
  const columns = ['', '', 'req/s', 'of the baseline', 'p50 ms', 'p99 ms', 'CPU µs/req', 'resident MiB'];
  const lines = [row(columns), row(columns.map((_, i) => (i < 2 ? '---' : '---:')))];
  for (const { title, service, baseline } of measured) {
    // Each round's own ratio: a disturbance of the machine affects both sides of one round alike.
    const ratio = median(service.map((result, round) => result.perSecond / baseline[round].perSecond));
    for (const [side, results] of Object.entries({ service, baseline })) {
      const { perSecond, p50, p99, cpuMicros, residentMiB } = medians(results);
      const figures = [p50.toFixed(1), p99.toFixed(1), whole(cpuMicros), whole(residentMiB)];
      const share = side === 'service' ? `**${ratio.toFixed(2)}**` : '';
      lines.push(row([side === 'service' ? title : '', side, whole(perSecond), share, ...figures]));
    }
  }
  return lines.join('\n');
}

/**
 * Prints a section and, with `write`, puts it between its markers in README.md; the arithmetic of docs/scaling.md
 * follows.
 */
export function publish(name, section, write) {
  const [begin, end] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`];
  process.stdout.write(`\n${begin}\n${section}\n${end}\n`);
  if (!write) return;
  const text = readFileSync(README, 'utf8');
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from === -1 || to === -1) throw new Error(`README.md has no section ${name}`);
  writeFileSync(README, `${text.slice(0, from)}${begin}\n\n${section}\n\n${text.slice(to)}`);
  writeScaling();
}
