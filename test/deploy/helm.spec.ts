import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Job } from 'kubernetes-types/batch/v1';
import { parse } from 'yaml';
import { CHART, hasHelm, renderChart, runHelm } from '../harness/helm';
import { hasKubectl, KUBERNETES, type Manifest, renderManifests, typeFaults } from '../harness/manifests';
import { renderWithComponents } from './components';

type Tree = { [key: string]: unknown };

/** The secrets of overlays/large. */
const OF_LARGE = [
  'DATABASE_URL',
  'JWT_SECRET',
  'ENCRYPTION_KEYS',
  'REDIS_URL',
  'DIRECT_DATABASE_URL',
  'DATABASE_REPLICA_URL',
];

const withHelm = hasHelm() ? describe : describe.skip;
const withBoth = hasHelm() && hasKubectl() ? describe : describe.skip;
/** Parts of only one of the two ways, without an effect on pods. */
const OF_HELM = /^(helm\.sh\/|checksum\/|app\.kubernetes\.io\/(instance|managed-by|version)$)/;

/**
 * An object without the additions of its tool: labels of Helm, kustomize's suffix of a ConfigMap's name, the revision
 * of a Job.
 */
function plain(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) return value.map((item) => plain(item));
  if (typeof value === 'string' && key === 'name') {
    return value.replace(/^configuration-\w+$/, 'configuration').replace(/^migrate-\d+$/, 'migrate');
  }
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value as Tree).filter(
    ([name]) => !OF_HELM.test(name) && !name.startsWith('kustomize.'),
  );
  const kept = entries
    .map(([name, item]) => [name, plain(item, name)] as const)
    .filter(([name, item]) => {
      return !(/^(annotations|labels)$/.test(name) && Object.keys(item as Tree).length === 0);
    });
  return Object.fromEntries(kept);
}

const byName = (manifests: Manifest[]): Record<string, unknown> =>
  Object.fromEntries(
    manifests
      .map((manifest) => plain(manifest) as Manifest)
      .map((manifest) => [`${manifest.kind} ${manifest.metadata?.name}`, manifest]),
  );

withBoth('the chart', () => {
  it.each(['small', 'large'])('makes the objects of overlays/%s', (overlay) => {
    const chart = renderChart(overlay).filter(({ metadata }) => !metadata?.annotations?.['helm.sh/hook']);
    // `helm install --create-namespace` makes the namespace: its labels are in the README.
    const overlaid = renderManifests(`overlays/${overlay}`).filter(({ kind }) => kind !== 'Namespace');
    const [ofChart, ofOverlay] = [byName(chart), byName(overlaid)];
    expect(Object.keys(ofChart).sort()).toEqual(Object.keys(ofOverlay).sort());
    for (const name of Object.keys(ofOverlay)) expect([name, ofChart[name]]).toEqual([name, ofOverlay[name]]);
  });

  it.each([
    ['small', ['sign-in-login', 'queue-login'], ['--values', join(CHART, 'values', 'logins.yaml')]],
    ['large', ['sign-in-login'], ['--set', `secrets.variables={${OF_LARGE.join(',')},SIGN_IN_DATABASE_URL}`]],
  ])('makes the objects of overlays/%s with logins of their own, %j', (overlay, components, more) => {
    const chart = renderChart(overlay, ...more).filter(({ metadata }) => !metadata?.annotations?.['helm.sh/hook']);
    const overlaid = renderWithComponents(overlay, components).filter(({ kind }) => kind !== 'Namespace');
    expect(byName(chart)).toEqual(byName(overlaid));
    const { data } = byName(overlaid)['ConfigMap configuration'] as { data: Record<string, string> };
    expect([data.SIGN_IN_DATABASE_URL_FILE, data.QUEUE_DATABASE_URL_FILE !== undefined]).toEqual([
      '/run/secrets/orders-saas-api/SIGN_IN_DATABASE_URL',
      components.includes('queue-login'),
    ]);
    // `migrate` makes each login that the pods have, with the password that they have.
    const job = overlaid.find(({ kind }) => kind === 'Job') as Job;
    const { containers = [], volumes = [] } = job.spec?.template.spec ?? {};
    const files = containers[0]?.env?.map(({ name }) => name).filter((name) => name in data);
    const keys = volumes[0]?.secret?.items?.map(({ key }) => `${key}_FILE`);
    const urls = Object.keys(data).filter((name) => /^(QUEUE_|SIGN_IN_)?DATABASE_URL_FILE$/.test(name));
    expect([files?.sort(), keys?.sort()]).toEqual([urls.sort(), urls.sort()]);
  });

  it('makes the route, the monitor and the rules of the components', () => {
    const chart = byName(renderChart('operators'));
    for (const file of [
      'gateway/http-route',
      'prometheus-operator/pod-monitor',
      'prometheus-operator/prometheus-rule',
    ]) {
      const text = readFileSync(join(KUBERNETES, 'components', `${file}.yaml`), 'utf8');
      const object = plain(parse(text)) as Manifest;
      const { spec } = chart[`${object.kind} ${object.metadata?.name}`] as { spec: unknown };
      expect(spec).toEqual((object as Manifest & { spec: unknown }).spec);
    }
    const rules = parse(readFileSync(join(CHART, '../prometheus/alerts.yml'), 'utf8')) as { groups: unknown };
    expect(chart['PrometheusRule orders-saas-api']).toMatchObject({ spec: { groups: rules.groups } });
  });
});

withHelm('the chart by itself', () => {
  it('is without fault, with each file of values', () => {
    for (const values of ['small', 'large', 'operators']) {
      const { status, output } = runHelm(
        'lint',
        '--strict',
        CHART,
        '--values',
        join(CHART, 'values', `${values}.yaml`),
      );
      expect([values, status, output]).toEqual([values, 0, expect.stringContaining('0 chart(s) failed')]);
      const known = renderChart(values).filter(
        ({ apiVersion }) => !/^(gateway|monitoring|keda|external)/.test(apiVersion),
      );
      expect(typeFaults(known)).toEqual([]);
    }
  });

  it('supports objects of operators, and additional objects', () => {
    const kinds = renderChart('operators').map(({ kind, metadata }) => `${kind} ${metadata?.name}`);
    for (const name of ['HTTPRoute api', 'ExternalSecret orders-saas-api', 'ExternalSecret orders-saas-api-migrate'])
      expect(kinds).toContain(name);
    for (const name of ['ScaledObject worker', 'PodMonitor orders-saas-api', 'ConfigMap notes'])
      expect(kinds).toContain(name);
    expect(kinds).not.toContain('Ingress api');
    expect(renderChart('operators').find(({ metadata }) => metadata?.name === 'notes')).toMatchObject({
      data: { release: 'orders' },
    });
  });

  it('replaces pods for new settings and new secrets', () => {
    const sums = (...more: string[]): unknown[] =>
      renderChart('small', ...more)
        .filter(({ kind }) => kind === 'Deployment')
        .map(
          (manifest) => (manifest as unknown as { spec: { template: Manifest } }).spec.template.metadata?.annotations,
        );
    expect(sums('--set', 'configuration.LOG_LEVEL=warn')).not.toEqual(sums());
    expect(sums('--set-string', 'secrets.revision=2')).not.toEqual(sums());
  });

  it.each([
    ['configuration.DATABASE_URL=postgres://x', /DATABASE_URL/],
    ['api.autoscaling.kind=vpa', /kind/],
    ['api.replica=3', /replica/],
    ['image.digest=latest', /digest/],
    ['networkPolicies.postgres=null', /postgres/],
  ])('refuses values that the schema does not know: %s', (value, says) => {
    const { status, output } = runHelm('template', 'x', CHART, '--kube-version', '1.34.0', '--set', value);
    expect([status, output]).toEqual([1, expect.stringMatching(says)]);
  });
});
