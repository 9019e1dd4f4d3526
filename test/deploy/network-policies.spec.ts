import type { NetworkPolicy } from 'kubernetes-types/networking/v1';
import { isAllowedAddress } from '../../src/webhooks/http-client/ssrf-policy';
import { hasKubectl, type Manifest, readManifests, renderManifests } from '../harness/manifests';
import { type End, type Flow, isAllowed } from '../harness/network-policies';

const NAMESPACE = 'orders-saas-api';
const OVERLAYS = ['small', 'large'];
const NOTHING_OPEN = { allowHttp: false, allowCidrs: [] };

/** A pod of ours, as its template makes it. */
const pod = (component: string): End => ({
  namespace: NAMESPACE,
  labels: { 'app.kubernetes.io/name': NAMESPACE, 'app.kubernetes.io/component': component },
  ip: '10.244.1.7',
  ports: { http: 3000, health: 3000, metrics: 9464 },
});
const of = (namespace: string, labels: Record<string, string> = {}, ip = '10.244.2.9'): End => ({
  namespace,
  labels,
  ip,
});
const at = (ip: string): End => ({ ip });
const [API, WORKER, MIGRATE, ADMIN] = ['api', 'worker', 'migrate', 'admin'].map(pod) as [End, End, End, End];
const SOLVER = of(NAMESPACE, { 'acme.cert-manager.io/http01-solver': 'true' });
const DNS = of('kube-system', { 'k8s-app': 'kube-dns' });
const NODE_LOCAL_DNS = at('169.254.20.10');
const CONTROLLER = of('ingress-nginx', { 'app.kubernetes.io/name': 'ingress-nginx' });
const PROMETHEUS = of('monitoring', { 'app.kubernetes.io/name': 'prometheus' });
const INTERNET = at('93.184.215.14');
const INTERNET_6 = at('2606:2800:21f:cb07:6820:80da:af6b:8b2c');
const POSTGRES: Record<string, End> = { small: of('data', { app: 'postgres' }), large: at('10.64.0.9') };
const METADATA = ['169.254.169.254', '168.63.129.16', '192.0.0.192', '100.100.100.200', 'fd00:ec2::254'];

const flow = (from: End, to: End, port: number, protocol?: 'UDP'): Flow => ({ from, to, port, protocol });

/** The necessary flows. */
const needed = (overlay: string): [string, Flow][] => [
  ...[API, WORKER, MIGRATE, ADMIN].flatMap((from): [string, Flow][] => {
    const name = from.labels?.['app.kubernetes.io/component'];
    return [
      [`${name} → DNS`, flow(from, DNS, 53, 'UDP')],
      [`${name} → DNS by TCP`, flow(from, DNS, 53)],
      [`${name} → NodeLocal DNSCache`, flow(from, NODE_LOCAL_DNS, 53, 'UDP')],
      [`${name} → PostgreSQL`, flow(from, POSTGRES[overlay] as End, 5432)],
      [`${name} → PgBouncer`, flow(from, POSTGRES[overlay] as End, 6432)],
    ];
  }),
  ...[443, 80, 1024, 8443, 65_535].flatMap((port): [string, Flow][] => [
    [`worker → internet at ${port}`, flow(WORKER, INTERNET, port)],
    [`worker → internet by IPv6 at ${port}`, flow(WORKER, INTERNET_6, port)],
  ]),
  ['api → collector', flow(API, of('monitoring'), 4318)],
  ['worker → collector', flow(WORKER, of('monitoring'), 4318)],
  ['ingress → api', flow(CONTROLLER, API, 3000)],
  ['ingress → solver', flow(CONTROLLER, SOLVER, 8089)],
  ['Prometheus → api', flow(PROMETHEUS, API, 9464)],
  ['Prometheus → worker', flow(PROMETHEUS, WORKER, 9464)],
  ...(overlay === 'large'
    ? [API, WORKER, ADMIN].map((from): [string, Flow] => ['→ Redis', flow(from, at('10.64.1.9'), 6379)])
    : []),
];

/** The forbidden flows, whatever else is open. */
const forbidden = (overlay: string): [string, Flow][] => [
  ...METADATA.flatMap((ip) =>
    [API, WORKER, MIGRATE, ADMIN].flatMap((from) =>
      [53, 80, 443, 8080].map((port): [string, Flow] => [`metadata ${ip}:${port}`, flow(from, at(ip), port)]),
    ),
  ),
  ...[API, MIGRATE, ADMIN].flatMap((from): [string, Flow][] => [
    ['internet', flow(from, INTERNET, 443)],
    ['internet by IPv6', flow(from, INTERNET_6, 443)],
  ]),
  ['worker → mail relay of the internet', flow(WORKER, INTERNET, 25)],
  ['worker → SSH of the internet', flow(WORKER, INTERNET, 22)],
  ['worker → Kubernetes', flow(WORKER, of('default', {}, '10.96.0.1'), 443)],
  ['worker → a node', flow(WORKER, at('192.168.7.3'), 10_250)],
  ['worker → api', flow(WORKER, API, 3000)],
  ['api → worker', flow(API, WORKER, 3000)],
  ['DNS server of the internet', flow(WORKER, at('8.8.8.8'), 53, 'UDP')],
  ['another pod of kube-system', flow(API, of('kube-system', { 'k8s-app': 'metrics-server' }), 53, 'UDP')],
  ['pod of another namespace that says it is DNS', flow(API, of('default', { 'k8s-app': 'kube-dns' }), 53, 'UDP')],
  ['ingress → metrics', flow(CONTROLLER, API, 9464)],
  ['ingress → worker', flow(CONTROLLER, WORKER, 3000)],
  ['Prometheus → API', flow(PROMETHEUS, API, 3000)],
  ['another namespace → api', flow(of('default'), API, 3000)],
  ['internet → api', flow(INTERNET, API, 3000)],
  ['internet → solver', flow(INTERNET, SOLVER, 8089)],
  ['solver → internet', flow(SOLVER, INTERNET, 443)],
  ...(overlay === 'large' ? [['migrate → Redis', flow(MIGRATE, at('10.64.1.9'), 6379)] as [string, Flow]] : []),
];

const only = (manifests: Manifest[]): NetworkPolicy[] =>
  manifests.filter(({ kind }) => kind === 'NetworkPolicy') as NetworkPolicy[];

(hasKubectl() ? describe : describe.skip).each(OVERLAYS)('the network policies of overlays/%s', (overlay) => {
  const rendered = renderManifests(`overlays/${overlay}`);
  const policies = only(rendered);

  it.each(needed(overlay))('let through: %s', (_, wanted) => {
    expect(isAllowed(policies, wanted)).toBe(true);
  });

  it.each(forbidden(overlay))('hold up: %s', (_, unwanted) => {
    expect(isAllowed(policies, unwanted)).toBe(false);
  });

  it('fail this test where one peer has a label too many', () => {
    const broken = JSON.parse(JSON.stringify(policies)) as NetworkPolicy[];
    const dns = broken.find(({ metadata }) => metadata?.name === 'dns')?.spec?.egress?.[0]?.to?.[0];
    dns!.podSelector!.matchLabels!['app.kubernetes.io/name'] = NAMESPACE;
    expect(isAllowed(broken, flow(API, DNS, 53, 'UDP'))).toBe(false);
  });

  it('select the documented labels and no others', () => {
    const files = [...readManifests('base'), ...readManifests(`overlays/${overlay}`)];
    // A later file of the same name is the overlay's patch.
    const written = new Map<string, unknown>();
    for (const { metadata, spec } of only(files)) {
      const name = metadata?.name as string;
      written.set(name, { ...(written.get(name) as object), ...spec });
    }
    const found = Object.fromEntries(policies.map(({ metadata, spec }) => [metadata?.name, spec]));
    expect(found).toEqual(Object.fromEntries(written));
  });

  it('let the worker send to the same addresses as its own check of destinations', () => {
    const blocks = policies
      .find(({ metadata }) => metadata?.name === 'worker-to-internet')
      ?.spec?.egress?.flatMap(({ to = [] }) => to.flatMap(({ ipBlock }) => ipBlock ?? []));
    const ranges = blocks?.flatMap(({ cidr, except = [] }) => [cidr, ...except]) ?? [];
    expect(ranges.length).toBeGreaterThan(20);
    // Within each range, and next to it.
    const probes = ranges.flatMap((range) => {
      const network = range.split('/')[0] as string;
      return network.includes(':')
        ? [
            network === '2000::' ? '2600::1' : `${network.replace(/::$/, '')}::1`,
            '2a00::1',
            '4000::1',
            'fd00::1',
            '::1',
          ]
        : [network.replace(/\.0$/, '.1'), network.replace(/^\d+/, (first) => String(Number(first) - 1))];
    });
    for (const ip of new Set(probes)) {
      const policy = isAllowed(policies, flow(WORKER, at(ip), 443));
      expect([ip, policy]).toEqual([ip, isAllowedAddress(ip, NOTHING_OPEN)]);
    }
  });
});

(hasKubectl() ? describe : describe.skip).each(OVERLAYS)('the selectors of overlays/%s', (overlay) => {
  it('match the pods that they are meant for, and those alone', () => {
    const rendered = renderManifests(`overlays/${overlay}`) as (Manifest & { spec?: Record<string, unknown> })[];
    for (const { kind, metadata, spec } of rendered) {
      const selector = spec?.selector as { matchLabels?: object } | undefined;
      if (!selector) continue;
      expect([kind, selector.matchLabels ?? selector]).toEqual([
        kind,
        { 'app.kubernetes.io/name': NAMESPACE, 'app.kubernetes.io/component': metadata?.name },
      ]);
    }
  });
});
