import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pino from 'pino';
import { parse } from 'yaml';
import { loadConfig } from '../../../src/platform/config/config';
import { type MetricsServer, serveMetrics } from '../../../src/platform/observability/metrics-server';
import type { ApiClient } from '../../harness/client';
import { createEndpoint } from '../../harness/endpoints';
import { METRICS } from '../../harness/metric-names';
import { hasPrometheus, PrometheusServer } from '../../harness/prometheus-server';
import { type Receiver, startReceiver } from '../../harness/receiver';
import { startService, type TestService } from '../../harness/service';
import { until } from '../../harness/until';
import { startWorker, type TestWorker } from '../../harness/worker';

const DEPLOY = join(__dirname, '..', '..', '..', 'deploy');

interface Panel {
  title: string;
  targets?: { expr: string }[];
}

const { panels } = JSON.parse(readFileSync(join(DEPLOY, 'grafana/dashboards/orders-saas-api.json'), 'utf8')) as {
  panels: Panel[];
};
/** Metrics that this configuration of the service does not have. */
const absent = Object.keys(METRICS).filter((name) => METRICS[name]?.needs !== undefined);
const queries = panels
  .flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr })))
  .filter(({ expr }) => !absent.some((name) => expr.includes(name)));

/** The rules of deploy/ on these targets, which replace those of DNS there, at shorter intervals. */
function prometheusConfig(targets: Record<string, MetricsServer>): object {
  const config = parse(readFileSync(join(DEPLOY, 'prometheus/prometheus.yml'), 'utf8')) as {
    rule_files: string[];
    scrape_configs: { job_name: string }[];
  };
  const [service] = config.scrape_configs;
  return {
    global: { scrape_interval: '500ms', scrape_timeout: '500ms', evaluation_interval: '500ms' },
    rule_files: config.rule_files.map((file) => join(DEPLOY, 'prometheus', file)),
    scrape_configs: [
      {
        job_name: service?.job_name,
        static_configs: Object.entries(targets).map(([role, server]) => ({
          targets: [`127.0.0.1:${server.port}`],
          labels: { role },
        })),
      },
    ],
  };
}

(hasPrometheus() ? describe : describe.skip)('the dashboard and the alerts, on a live service', () => {
  let service: TestService;
  let worker: TestWorker;
  let receiver: Receiver;
  let servers: MetricsServer[];
  let prometheus: PrometheusServer;
  let tenant: ApiClient;

  beforeAll(async () => {
    service = await startService({ env: { WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' } });
    worker = await startWorker(service.database);
    receiver = await startReceiver();
    const logger = pino({ level: 'silent' });
    const config = loadConfig({ METRICS_PORT: '0' });
    const api = (await serveMetrics(service.metrics, config, logger, true)) as MetricsServer;
    const sender = (await serveMetrics(worker.metrics, config, logger, true)) as MetricsServer;
    servers = [api, sender];
    tenant = await service.tenant();
    await createEndpoint(tenant, receiver.url);
    prometheus = await PrometheusServer.start(prometheusConfig({ api, worker: sender }));
  });

  afterAll(async () => {
    await prometheus.stop();
    for (const server of servers) server.close();
    await worker.stop();
    await service.stop();
    await receiver.stop();
  });

  it('has every metric that rules and panels name', async () => {
    const wanted = Object.entries(METRICS)
      .filter(([, { needs }]) => needs === undefined)
      .map(([name, { type }]) => (type === 'histogram' ? `${name}_bucket` : name));
    let missing = wanted;
    await until(
      'all of them are scraped',
      async () => {
        await tenant.createOrder();
        const names = await prometheus.names();
        missing = wanted.filter((name) => !names.includes(name));
        return missing.length === 0;
      },
      20_000,
    ).catch(() => undefined);
    expect(missing).toEqual([]);
  });

  it('shows something in every panel', async () => {
    let empty: string[] = [];
    await until(
      'every panel has data',
      async () => {
        await tenant.createOrder();
        await tenant.get('/orders');
        empty = [];
        for (const { title, expr } of queries) {
          const asked = expr.replaceAll('$__rate_interval', '10s').replaceAll('$job', 'orders-saas-api');
          const found = await prometheus.query(asked);
          if (!found.some(({ value }) => Number.isFinite(value))) empty.push(`${title}: ${asked}`);
        }
        return empty.length === 0;
      },
      30_000,
    ).catch(() => undefined);
    expect(empty).toEqual([]);
  });

  it('evaluates every rule, and fires none in normal operation', async () => {
    const rules = await prometheus.rules();
    expect(rules.length).toBeGreaterThan(20);
    for (const { name, health, lastError } of rules) expect([name, health, lastError]).toEqual([name, 'ok', undefined]);
    expect(rules.filter(({ state }) => state === 'firing').map(({ name }) => name)).toEqual([]);
  });
});
