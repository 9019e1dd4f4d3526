import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { METRICS, nameFaults } from '../../harness/metric-names';

const ROOT = join(__dirname, '..', '..', '..');
const PROMETHEUS = join(ROOT, 'deploy', 'prometheus');
const read = (...path: string[]): string => readFileSync(join(ROOT, ...path), 'utf8');

interface Rule {
  alert?: string;
  record?: string;
  expr: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
}
interface Panel {
  type: string;
  title: string;
  description?: string;
  gridPos: { h: number; w: number; x: number; y: number };
  targets?: { expr: string }[];
}

const rulesOf = (file: string): Rule[] =>
  (parse(read('deploy', 'prometheus', file)) as { groups: { rules: Rule[] }[] }).groups.flatMap((group) => group.rules);
const rules = rulesOf('alerts.yml');
/** Metrics of the exporters, whose names are not ours. */
const dataRules = rulesOf('data-alerts.yml');
const alerts = [...rules, ...dataRules].filter((rule) => rule.alert !== undefined);
const TESTS = ['alerts.test.yml', 'objectives.test.yml', 'data-alerts.test.yml'];
const recorded = rules.flatMap(({ record }) => record ?? []);

const dashboard = JSON.parse(read('deploy', 'grafana', 'dashboards', 'orders-saas-api.json')) as {
  panels: Panel[];
  annotations: { list: { expr: string }[] };
};
const panels = dashboard.panels.filter(({ type }) => type !== 'row');
const queries = [
  ...panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => [title, expr] as const)),
  ...dashboard.annotations.list.map(({ expr }) => ['annotation', expr] as const),
];

/** CI has promtool, and must. */
function hasPromtool(): boolean {
  const found = spawnSync('promtool', ['--version']).status === 0;
  if (!found && process.env.CI) throw new Error('promtool is missing: .ci/run installs it');
  if (!found) process.stderr.write('\n*** promtool is not installed: rules and their tests are NOT RUN ***\n\n');
  return found;
}
const withPromtool = hasPromtool() ? it : it.skip;

function promtool(...args: string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync('promtool', args, { encoding: 'utf8' });
  return { status, output: stdout + stderr };
}

describe('deploy/prometheus', () => {
  withPromtool(
    'has rules that do what their tests say',
    () => {
      const files = TESTS.map((file) => join(PROMETHEUS, file));
      for (const file of ['alerts.yml', 'data-alerts.yml']) {
        expect(promtool('check', 'rules', join(PROMETHEUS, file))).toMatchObject({ status: 0 });
      }
      expect(promtool('test', 'rules', ...files)).toMatchObject({ status: 0 });
    },
    120_000,
  );

  withPromtool('has configurations that Prometheus takes', () => {
    expect(promtool('check', 'config', join(PROMETHEUS, 'prometheus.yml'))).toMatchObject({ status: 0 });
    // Debian builds Prometheus without service discovery of Kubernetes: all else of that file is checked.
    const folder = mkdtempSync(join(tmpdir(), 'orders-prometheus-'));
    try {
      const text = read('deploy', 'prometheus', 'kubernetes.yml');
      const plain = text.replace(
        / {4}kubernetes_sd_configs:\n(?: {6}.*\n)+/,
        "    static_configs: [{ targets: ['pod:1'] }]\n",
      );
      expect(plain).not.toBe(text);
      writeFileSync(join(folder, 'alerts.yml'), read('deploy', 'prometheus', 'alerts.yml'));
      writeFileSync(join(folder, 'prometheus.yml'), plain);
      expect(promtool('check', 'config', join(folder, 'prometheus.yml'))).toMatchObject({ status: 0 });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('tests every alert, both that it fires and that it does not', () => {
    interface Case {
      alertname: string;
      exp_alerts: unknown[];
    }
    const cases = TESTS.flatMap((file) =>
      (parse(read('deploy', 'prometheus', file)) as { tests: { alert_rule_test: Case[] }[] }).tests.flatMap(
        (test) => test.alert_rule_test,
      ),
    );
    for (const { alert } of alerts) {
      const of = cases.filter(({ alertname }) => alertname === alert);
      expect([alert, of.some((one) => one.exp_alerts.length > 0)]).toEqual([alert, true]);
      expect([alert, of.some((one) => one.exp_alerts.length === 0)]).toEqual([alert, true]);
    }
  });

  it('declares for each alert its severity, summary and runbook', () => {
    const headings = [...read('docs', 'operations.md').matchAll(/^#+ (.+)$/gm)].map(([, text = '']) =>
      text.toLowerCase(),
    );
    for (const { alert, labels, annotations } of alerts) {
      expect(labels?.severity).toMatch(/^(page|ticket)$/);
      expect(annotations?.summary).toBeTruthy();
      expect(annotations?.description).toBeTruthy();
      expect(annotations?.runbook_url).toMatch(/\/docs\/operations\.md#[a-z]+$/);
      expect(headings).toContain(annotations?.runbook_url?.split('#')[1]);
      expect(annotations?.runbook_url?.split('#')[1]).toBe(alert?.toLowerCase());
    }
  });

  it('names metrics and labels that there are', () => {
    for (const { expr, alert, record } of rules)
      expect([alert ?? record, nameFaults(expr, recorded)]).toEqual([alert ?? record, []]);
    const adapter = parse(read('deploy', 'prometheus', 'adapter.yaml')) as {
      rules: { external: { name: { as: string }; seriesQuery: string }[] };
    };
    for (const { name, seriesQuery } of adapter.rules.external) {
      expect(nameFaults(seriesQuery)).toEqual([]);
      expect(Object.keys(METRICS)).toContain(name.as);
    }
  });
});

describe('the dashboard', () => {
  it('names metrics and labels that there are', () => {
    expect(queries.length).toBeGreaterThan(30);
    for (const [title, expr] of queries) expect([title, nameFaults(expr, recorded)]).toEqual([title, []]);
  });

  it('shows every metric of a process', () => {
    const shown = queries.map(([, expr]) => expr).join('\n');
    const missing = Object.keys(METRICS).filter((name) => !shown.includes(name));
    expect(missing).toEqual([]);
  });

  withPromtool('asks in PromQL', () => {
    const folder = mkdtempSync(join(tmpdir(), 'orders-dashboard-'));
    try {
      const file = join(folder, 'rules.yml');
      const expressions = queries.map(([, expr], index) => ({
        record: `panel:${index}`,
        expr: expr.replaceAll('$__rate_interval', '1m').replaceAll('$job', 'job'),
      }));
      writeFileSync(file, JSON.stringify({ groups: [{ name: 'dashboard', rules: expressions }] }));
      expect(promtool('check', 'rules', file)).toMatchObject({ status: 0 });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('has a description to every panel, and none above another', () => {
    const taken = new Set<string>();
    for (const { title, description, gridPos } of dashboard.panels) {
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect([title, taken.has(`${x},${y}`)]).toEqual([title, false]);
          taken.add(`${x},${y}`);
        }
      }
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
      if (description !== undefined) expect(description).not.toBe('');
    }
    expect(panels.filter(({ description }) => !description)).toEqual([]);
  });
});

describe('the check of names', () => {
  it('finds a metric that is not there, a label that is not there, and a histogram queried like a number', () => {
    expect(nameFaults('sum by (tenant) (rate(http_request_duration_seconds_count{route="x"}[5m]))')).toEqual([
      'nothing here has the label tenant',
    ]);
    expect(nameFaults('outbox_age_seconds > 1')).toEqual(['no process has the metric outbox_age_seconds']);
    expect(nameFaults('queue_jobs{name="x"}')).toEqual(['queue_jobs has no label name']);
    expect(nameFaults('db_pool_wait_seconds')).toEqual(['no process has the metric db_pool_wait_seconds']);
    expect(nameFaults('slo:http_errors:ratio_rate1h > 14.4 * 0.001', ['slo:http_errors:ratio_rate1h'])).toEqual([]);
  });
});
