import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { MailServer } from '../../harness/mail-server';
import { hasPrometheus, PrometheusServer } from '../../harness/prometheus-server';
import { freePort } from '../../harness/redis';
import { until } from '../../harness/until';

const DEPLOY = join(__dirname, '..', '..', '..', 'deploy');
const read = (path: string): string => readFileSync(join(DEPLOY, path), 'utf8');

/** Whether there is an Alertmanager to start. CI has one, and must. */
function hasAlertmanager(): boolean {
  const found = spawnSync('prometheus-alertmanager', ['--version']).status === 0;
  if (!found && process.env.CI) throw new Error('prometheus-alertmanager is missing: .ci/run installs it');
  if (!found)
    process.stderr.write('\n*** prometheus-alertmanager is not installed: mails of alerts are SKIPPED ***\n\n');
  return found;
}

/** The rules of deploy/ without their delays. */
function immediateRules(): string {
  const rules = read('prometheus/alerts.yml');
  const immediate = rules.replace(/^( +for:) \S+$/gm, '$1 0s');
  expect(immediate).not.toBe(rules);
  return immediate;
}

/**
 * The configuration of deploy/ with a mail server of the test's, and short delays. As there, what pages comes first: an
 * alert that follows from it may begin a little earlier, or end a little later.
 */
function immediateRoutes(smtp: string): string {
  const routes = read('alertmanager/alertmanager.yml');
  const immediate = routes
    .replace('mail:1025', new URL(smtp).host)
    .replace('group_wait: 30s', 'group_wait: 15s')
    .replace('group_wait: 10s', 'group_wait: 1s')
    .replace(/group_interval: \S+/g, 'group_interval: 1s');
  for (const changed of [new URL(smtp).host, 'group_wait: 15s', 'group_wait: 1s']) expect(immediate).toContain(changed);
  return immediate;
}

(hasPrometheus() && hasAlertmanager() ? describe : describe.skip)('an alert', () => {
  const mails = new MailServer();
  let folder: string;
  let alertmanager: ChildProcess;
  let prometheus: PrometheusServer;
  /** Alertmanager's address. */
  let url: string;
  let said = '';
  /** A process of the API, as Prometheus sees it. */
  let target: Server | undefined;
  let targetPort: number;

  async function startTarget(): Promise<void> {
    target = createServer((_request, response) => void response.end('process_start_time_seconds 1\n'));
    await new Promise<void>((resolve) => target?.listen(targetPort, '127.0.0.1', resolve));
  }
  async function stopTarget(): Promise<void> {
    target?.closeAllConnections();
    await new Promise<void>((resolve) => (target ? target.close(() => resolve()) : resolve()));
    target = undefined;
  }

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'orders-test-alertmanager-'));
    writeFileSync(join(folder, 'alerts.yml'), immediateRules());
    writeFileSync(join(folder, 'alertmanager.yml'), immediateRoutes(await mails.start()));
    targetPort = await freePort();
    await startTarget();
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    alertmanager = spawn(
      'prometheus-alertmanager',
      [
        `--config.file=${join(folder, 'alertmanager.yml')}`,
        `--storage.path=${join(folder, 'data')}`,
        `--web.listen-address=127.0.0.1:${port}`,
        '--cluster.listen-address=',
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    alertmanager.stderr?.on('data', (data: Buffer) => (said = (said + data.toString()).slice(-4_000)));
    await until(
      'Alertmanager is ready',
      async () => {
        if (alertmanager.exitCode !== null) throw new Error(`Alertmanager ended: ${said}`);
        return fetch(`${url}/-/ready`).then(
          ({ ok }) => ok,
          () => false,
        );
      },
      30_000,
    );
    const { scrape_configs: jobs } = parse(read('prometheus/prometheus.yml')) as {
      scrape_configs: { job_name: string }[];
    };
    prometheus = await PrometheusServer.start({
      global: { scrape_interval: '500ms', scrape_timeout: '500ms', evaluation_interval: '500ms' },
      rule_files: [join(folder, 'alerts.yml')],
      alerting: { alertmanagers: [{ static_configs: [{ targets: [`127.0.0.1:${port}`] }] }] },
      scrape_configs: [
        {
          job_name: jobs[0]?.job_name,
          static_configs: [{ targets: [`127.0.0.1:${targetPort}`], labels: { role: 'api' } }],
        },
      ],
    });
  });

  afterAll(async () => {
    await prometheus?.stop();
    const ended = new Promise((resolve) => alertmanager.once('exit', resolve));
    alertmanager.kill('SIGKILL');
    await ended;
    await stopTarget();
    await mails.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const subjects = (): string[] => mails.received.map(({ mail }) => mail.subject ?? '');
  const about = (status: string, alert: string) => () =>
    mails.received.find(({ mail }) => mail.subject?.startsWith(`[${status}`) && mail.subject.includes(alert));

  it('becomes a mail to the operator, with its runbook; its end becomes another', async () => {
    await until('Prometheus sees the API', async () => (await prometheus.query('up == 1')).length === 1, 30_000);
    expect(about('FIRING', 'ServiceIsGone')()).toBeUndefined();
    await stopTarget();
    const mail = await until('the mail', about('FIRING', 'ServiceIsGone'), 60_000);
    expect(mail).toMatchObject({
      from: 'alertmanager@orders-saas-api.localhost',
      to: ['operator@orders-saas-api.localhost'],
    });
    const text = mail.mail.html || mail.mail.text || '';
    expect(text).toContain('docs/operations.md#serviceisgone');
    expect(text).toContain('No API process is up');

    await startTarget();
    await until('the mail of its end', about('RESOLVED', 'ServiceIsGone'), 60_000);
  });

  it('that follows from another one becomes none', async () => {
    await stopTarget();
    const before = mails.received.length;
    await until(
      'the second mail',
      () => mails.received.slice(before).some(({ mail }) => mail.subject?.includes('ServiceIsGone')),
      60_000,
    );
    const states = await until('both alerts are there', async () => {
      const alerts = (await (await fetch(`${url}/api/v2/alerts`)).json()) as {
        labels: { alertname: string };
        status: { state: string };
      }[];
      const states = Object.fromEntries(alerts.map(({ labels, status }) => [labels.alertname, status.state]));
      return states.TargetIsDown === 'suppressed' && states;
    });
    expect(states).toMatchObject({ ServiceIsGone: 'active' });
    expect(subjects().filter((subject) => subject.includes('TargetIsDown'))).toEqual([]);
  });
});
