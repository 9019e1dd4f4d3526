/** The figures of the webhooks bench as the table in README.md. */

const whole = (number) => Math.round(number).toLocaleString('en');
const ms = ({ p50, p99 }) => `${p50.toFixed(1)} / ${p99.toFixed(1)} ms`;
const rateOf = ({ perSecond, share, shareOfLoop }) =>
  `${whole(perSecond)}/s = **${share.toFixed(2)}** and **${shareOfLoop.toFixed(2)}**`;
const TITLES = { postgres: 'queue in PostgreSQL', redis: 'queue in Redis' };

const workersCell = ({ perSecond, cpuMicros, cpuRatio, workers }) =>
  `${whole(perSecond)}/s, ${whole(cpuMicros)} µs${workers === 1 ? '' : ` = **${cpuRatio.toFixed(2)}**`}`;

/** Each row: its name, its goal, and the form of a backend's result. */
function rows(results, { shapes, workers, million }) {
  const list = [
    ['baseline: sign and POST in a loop', '', ({ throughput: t }) => t && `${whole(t.loop)}/s`],
    ['baseline: BullMQ alone with the same POST', '', ({ throughput: t }) => t && `${whole(t.bullmq)}/s`],
    ['the same, all jobs added before the clock starts', '', ({ throughput: t }) => t && `${whole(t.added)}/s`],
    ...shapes.map(({ tenants, endpoints }, i) => [
      `${whole(endpoints)} endpoint${endpoints > 1 ? 's' : ''} of ${tenants} tenant${tenants > 1 ? 's' : ''}`,
      '≥ 1.8 (Redis 1.5) of BullMQ alone, ≥ 0.15 (Redis 0.3) of the loop',
      ({ throughput: t }) => t && rateOf(t.ours[i]),
    ]),
    ...workers.map((number, i) => [
      `1,000 endpoints of 50 tenants, ${number} worker${number > 1 ? 's' : ''}: rate, CPU a delivery of all workers`,
      number === 1 ? '' : '≤ 1.15 times that with one',
      ({ workers: w }) => w && workersCell(w[i]),
    ]),
    ['response to arrival, idle: p50 / p99', '≤ 5 / 25 ms', ({ idle }) => idle && ms(idle.one)],
    ['the same with 10 endpoints, all arrivals', '≤ 5 / 25 ms', ({ idle }) => idle && ms(idle.ten)],
    [
      'commit to arrival at half of full load',
      '≤ 30 / 150 ms',
      ({ loaded }) => loaded && `${ms(loaded)} at ${whole(loaded.perSecond)}/s`,
    ],
  ];
  for (const [key, who] of Object.entries({ one: 'one tenant', twenty: '20 tenants' })) {
    list.push([
      `healthy endpoint's p99 beside 1,000 deliveries on hanging endpoints of ${who}, and alone`,
      '≤ 2 times',
      ({ neighbour }) => {
        if (!neighbour) return undefined;
        const { alone, beside } = neighbour[key];
        return `${beside.p99.toFixed(1)} and ${alone.p99.toFixed(1)} ms = **${(beside.p99 / alone.p99).toFixed(2)}**`;
      },
    ]);
  }
  list.push(
    [
      'first delivery to a new endpoint beside those of 20 tenants',
      '',
      ({ neighbour: n }) => n && `${n.twenty.fresh.toFixed(1)} ms`,
    ],
    [
      `${whole(million.count)} due: deliveries a second at the start, then, and with ${whole(million.small)} due`,
      'the same',
      ({ million: m }) => m && `${whole(m.start)}, ${whole(m.end)}, ${whole(m.small)}/s`,
    ],
    [
      `${whole(million.count)} due: reading the head of a queue, and with ${whole(million.small)} due`,
      'the same',
      ({ million: m }) => m && `${m.pick.toFixed(2)} and ${m.pickSmall.toFixed(2)} ms`,
    ],
    [`${whole(million.count)} due: the worker's memory`, '< 256 MiB', ({ million: m }) => m && `${whole(m.peak)} MiB`],
  );
  return list;
}

/** @param {Record<string, object>} results by backend */
export function webhooksTable(results, chosen) {
  const names = Object.keys(results);
  const line = (cells) => `| ${cells.join(' | ')} |`;
  const lines = [
    line(['', 'to reach', ...names.map((name) => TITLES[name])]),
    line(['---', '---', ...names.map(() => '---:')]),
  ];
  for (const [what, aim, tell] of rows(results, chosen)) {
    const cells = names.map((name) => tell(results[name]));
    if (cells.some((cell) => cell !== undefined)) lines.push(line([what, aim, ...cells.map((cell) => cell ?? '–')]));
  }
  return lines.join('\n');
}
