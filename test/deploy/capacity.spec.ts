import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(__dirname, '..', '..');

/** Measurements with round numbers, in the form of bench/README.md. */
const measurements = (webhooks: string): string => `
<!-- bench:begin -->
taken on 2 cores (some CPU)
|  |  | req/s | of the baseline | p50 ms | p99 ms | CPU µs/req | resident MiB |
| create an order of 3 items | service | 1,000 | **0.6** | 1 | 1 | 1,000 | 200 |
| get an order | service | 4,000 | **0.6** | 1 | 1 | 200 | 200 |
| list, first page of 20 | service | 2,000 | **0.6** | 1 | 1 | 400 | 200 |
<!-- bench:end -->
<!-- scale:begin -->
|  | 100,000 orders (0.1 GiB) | 10,000,000 orders (20.0 GiB) | takes |
| get an order | 1/s | 1/s | × 1.10 |
| list | 1/s | 1/s | × 1.20 |
<!-- scale:end -->
<!-- webhooks:begin -->
${webhooks}
<!-- webhooks:end -->
`;

describe('the arithmetic of docs/scaling.md', () => {
  const folder = mkdtempSync(join(tmpdir(), 'orders-capacity-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  function capacity(text: string): Record<string, string> {
    const file = join(folder, 'measurements.md');
    writeFileSync(file, text);
    const table = execFileSync(process.execPath, ['bench/capacity.mjs', file], { cwd: ROOT, encoding: 'utf8' });
    return Object.fromEntries(
      table.split('\n').flatMap((line) => {
        const [, what = '', value = ''] = line.split('|').map((cell) => cell.replaceAll('**', '').trim());
        return what === '' || what === '---' ? [] : [[what, value]];
      }),
    );
  }

  it('follows from the measurements', () => {
    const rows = capacity(measurements(''));
    // 0.6 × 200 + 0.25 × 400 + 0.15 × 1,000 = 370 µs of Node.
    expect(rows['cores that API processes keep busy']).toBe('37');
    expect(rows['API processes']).toBe('53'); // 37 ÷ 0.7
    expect(rows['connections to PgBouncer']).toBe('1,060');
    // 500 − 200, 1,000 − 400, 2,000 − 1,000: 480 µs of PostgreSQL, × 1.2.
    expect(rows["PostgreSQL's, at most"]).toBe('300, 600, 1,000 µs');
    expect(rows['cores that statements keep busy, at most']).toBe('58');
    expect(rows['cores that reading sessions keeps busy, at most']).toBe('30');
    expect(rows['cores of PostgreSQL, at most']).toBe('146'); // (57.6 + 30) ÷ 0.6
    expect(rows['an order on disk, with 3 items, history and indexes']).toBe('2,147 bytes');
    expect(rows['workers that they need']).toBe('not measured');
  });

  it('counts workers by the rate of one, until several are measured', () => {
    const row = '| 1,000 endpoints of 50 tenants | ≥ 0.5 of BullMQ alone | 500/s = **0.54** | 1,500/s = **0.60** |';
    expect(capacity(measurements(row))['workers that they need']).toBe('10 to 30');
  });

  it('counts workers by the CPU of a delivery among the most workers that were measured', () => {
    const of = (workers: string, cells: string) =>
      `| 1,000 endpoints of 50 tenants, ${workers}: rate, CPU | | ${cells} |`;
    const rows = [
      '| 1,000 endpoints of 50 tenants | ≥ 0.5 of BullMQ alone | 500/s = **0.54** | 1,500/s = **0.60** |',
      of('1 worker', '500/s, 100 µs | 1,500/s, 50 µs'),
      of('4 workers', '900/s, 1,300 µs = **1.10** | 2,500/s, 260 µs = **1.05**'),
    ];
    // 15,000 × 1,300 µs ÷ 0.7 = 27.9, 15,000 × 260 µs ÷ 0.7 = 5.6.
    expect(capacity(measurements(rows.join('\n')))['workers that they need']).toBe('6 to 28');
  });

  it('stands in the document as it is of bench/README.md', () => {
    const table = execFileSync(process.execPath, ['bench/capacity.mjs'], { cwd: ROOT, encoding: 'utf8' });
    expect(readFileSync(join(ROOT, 'docs/scaling.md'), 'utf8')).toContain(table);
  });
});
