import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Deployment } from 'kubernetes-types/apps/v1';
import type { HorizontalPodAutoscaler } from 'kubernetes-types/autoscaling/v2';
import type { CronJob, Job } from 'kubernetes-types/batch/v1';
import type { ConfigMap, Container, PodSpec, PodTemplateSpec, Service } from 'kubernetes-types/core/v1';
import type { Ingress, NetworkPolicy } from 'kubernetes-types/networking/v1';
import type { PodDisruptionBudget } from 'kubernetes-types/policy/v1';
import { loadConfig } from '../../src/platform/config/config';
import { schema } from '../../src/platform/config/schema';
import type { Variable } from '../../src/platform/config/variables';
import {
  hasKubectl,
  KUBERNETES,
  type Manifest,
  parseManifests,
  readManifests,
  renderManifests,
  typeFaults,
} from '../harness/manifests';

const OVERLAYS = ['small', 'large'];
const COMPONENT = 'app.kubernetes.io/component';
const ROOM_TO_END_MS = 10_000;

interface Kustomization extends Manifest {
  resources: string[];
  patches?: { path: string }[];
  configMapGenerator?: { name: string; literals: string[] }[];
}

const kustomization = (folder: string): Kustomization =>
  parseManifests(readFileSync(join(KUBERNETES, folder, 'kustomization.yaml'), 'utf8'))[0] as Kustomization;
const filesOf = (folder: string, files: string[]): Manifest[] =>
  files.flatMap((file) => parseManifests(readFileSync(join(KUBERNETES, folder, file), 'utf8')));

describe('the files of deploy/kubernetes', () => {
  it.each(['base', ...OVERLAYS.map((name) => `overlays/${name}`)])('have the types of Kubernetes: %s', (folder) => {
    const { resources, patches = [] } = kustomization(folder);
    const whole = filesOf(
      folder,
      resources.filter((file) => file.endsWith('.yaml')),
    );
    expect(typeFaults([kustomization(folder), ...whole])).toEqual([]);
    const parts = filesOf(
      folder,
      patches.map(({ path }) => path),
    );
    expect(typeFaults(parts, true)).toEqual([]);
    // Every file is used, and every named one exists.
    const used = ['kustomization.yaml', ...resources, ...patches.map(({ path }) => path)];
    expect(readManifests(folder)).toHaveLength(1 + whole.length + parts.length);
    for (const file of used) expect([file, existsSync(join(KUBERNETES, folder, file))]).toEqual([file, true]);
  });

  it('are refused with a field that Kubernetes does not know, one that is missing, or one of another type', () => {
    const api = readManifests('base').find(({ kind }) => kind === 'Deployment') as unknown as Deployment;
    const changed = (change: (pod: Record<string, unknown>) => void): string[] => {
      const copy = JSON.parse(JSON.stringify(api)) as Manifest & { spec: { template: { spec: object } } };
      change(copy.spec.template.spec as Record<string, unknown>);
      return typeFaults([copy]);
    };
    expect(changed(() => undefined)).toEqual([]);
    expect(changed((pod) => (pod.terminationGracePeriod = 45))).toEqual([
      expect.stringMatching(/^Deployment api: .*'"terminationGracePeriod"' does not exist in type 'PodSpec'/),
    ]);
    expect(changed((pod) => delete pod.containers)).toEqual([expect.stringMatching(/'containers' is missing/)]);
    expect(changed((pod) => (pod.terminationGracePeriodSeconds = '45'))).toEqual([
      expect.stringMatching(/'string' is not assignable to type 'number'/),
    ]);
  });
});

/** The checked objects: the base as it is written, and each overlay as it would be applied. */
const sets: [string, Manifest[]][] = [['base', readManifests('base').filter(({ kind }) => kind !== 'Kustomization')]];
if (hasKubectl()) {
  for (const name of OVERLAYS) sets.push([`overlays/${name}`, renderManifests(`overlays/${name}`)]);
}

describe.each(sets)('%s', (folder, manifests) => {
  const rendered = folder !== 'base';
  const all = <T>(kind: string): T[] => manifests.filter((manifest) => manifest.kind === kind) as T[];
  const named = <T extends { metadata?: { name?: string } }>(kind: string, name: string): T =>
    all<T>(kind).find(({ metadata }) => metadata?.name === name) as T;
  const deployments = all<Deployment>('Deployment');
  const jobs = all<CronJob>('CronJob').map(({ metadata, spec }) => ({ metadata, spec: spec?.jobTemplate.spec }));
  const templates = [...deployments, ...all<Job>('Job'), ...jobs].map(({ metadata, spec }) => {
    const template = spec?.template as PodTemplateSpec;
    return { name: metadata?.name as string, template, pod: template.spec as PodSpec };
  });
  const containers = templates.flatMap(({ name, pod }) =>
    [...(pod.containers ?? []), ...(pod.initContainers ?? [])].map((container) => ({ name, pod, container })),
  );
  /** The environment of a container, ConfigMaps included. */
  const environment = (container: Container): Record<string, string> => {
    const configured: Record<string, string> = {};
    for (const { configMapRef } of container.envFrom ?? []) {
      const literals = rendered
        ? Object.entries(named<ConfigMap>('ConfigMap', configMapRef?.name as string).data ?? {})
        : (kustomization('base').configMapGenerator?.[0]?.literals ?? []).map((text) => text.split(/=(.*)/s, 2));
      Object.assign(configured, Object.fromEntries(literals));
    }
    for (const { name, value } of container.env ?? []) configured[name] = value as string;
    return configured;
  };
  /** The same, with a value for every secret that comes from a file. */
  const resolved = (container: Container): Record<string, string> =>
    Object.fromEntries(
      Object.entries(environment(container)).map(([name, value]) => {
        if (!name.endsWith('_FILE')) return [name, value];
        const secret = name.slice(0, -'_FILE'.length);
        if (/DATABASE_(REPLICA_)?URL$/.test(secret)) return [secret, 'postgres://app_service:secret@postgres/orders'];
        if (secret === 'REDIS_URL') return [secret, 'redis://redis'];
        if (secret === 'ENCRYPTION_KEYS') return [secret, `k1:${Buffer.alloc(32, 7).toString('base64')}`];
        return [secret, 'secret'.repeat(8)];
      }),
    );

  it('has the roles of the image and nothing that Kubernetes does not know', () => {
    const roles = templates.map(({ pod }) => pod.containers[0]?.args?.[0]);
    expect(roles.sort()).toEqual(['admin', 'api', 'migrate', 'worker']);
    // A clock never runs the operator's commands.
    expect(named<CronJob>('CronJob', 'admin').spec?.suspend).toBe(true);
    expect(typeFaults(manifests)).toEqual([]);
  });

  it('runs as an unprivileged user, on a file system that cannot be written', () => {
    for (const { pod, container } of containers) {
      expect(pod).toMatchObject({
        automountServiceAccountToken: false,
        enableServiceLinks: false,
        securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } },
      });
      expect(container.securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
      for (const volume of pod.volumes ?? [])
        expect(volume.emptyDir ? volume.emptyDir.sizeLimit : 'bounded').toBeTruthy();
    }
  });

  it('declares the resources and the memory limit of each container', () => {
    for (const { container } of containers) {
      expect(container.resources?.requests).toMatchObject({ cpu: expect.any(String), memory: expect.any(String) });
      expect(container.resources?.limits).toMatchObject({ memory: expect.any(String) });
      if (rendered) expect(container.image).toMatch(/^[\w.-]+\/orders-saas-api:\d+\.\d+\.\d+$/);
    }
  });

  it('probes the start, the liveness and the readiness of a running process, on an existing port', () => {
    expect(deployments).toHaveLength(2);
    for (const { pod, container } of containers.filter(({ name }) => ['api', 'worker'].includes(name))) {
      const ports = container.ports?.map(({ name }) => name);
      for (const [probe, path] of [
        [container.startupProbe, '/health/live'],
        [container.livenessProbe, '/health/live'],
        [container.readinessProbe, container.name === 'api' ? '/health/ready?exclude=database,queue' : '/health/ready'],
      ] as const) {
        expect(probe?.httpGet?.path).toBe(path);
        expect(ports).toContain(probe?.httpGet?.port);
      }
      const port = container.ports?.find(({ name }) => name === container.livenessProbe?.httpGet?.port);
      expect(port?.containerPort).toBe(loadConfig(resolved(container)).PORT);
      expect(pod.topologySpreadConstraints?.map(({ topologyKey }) => topologyKey)).toEqual([
        'kubernetes.io/hostname',
        'topology.kubernetes.io/zone',
      ]);
    }
  });

  it('gives a process longer to end than it takes to drain', () => {
    for (const { pod, container } of containers.filter(({ name }) => ['api', 'worker'].includes(name))) {
      const { SHUTDOWN_DELAY, SHUTDOWN_TIMEOUT, WEBHOOK_TIMEOUT } = loadConfig(resolved(container));
      expect((pod.terminationGracePeriodSeconds ?? 30) * 1000).toBeGreaterThanOrEqual(
        SHUTDOWN_DELAY + SHUTDOWN_TIMEOUT + ROOM_TO_END_MS,
      );
      expect(SHUTDOWN_TIMEOUT).toBeGreaterThan(WEBHOOK_TIMEOUT);
    }
    for (const { spec } of deployments) {
      expect(spec?.strategy).toMatchObject({ type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0 } });
    }
  });

  it('configures each with variables that the service knows, and secrets only as files of a Secret', () => {
    expect(all('Secret')).toEqual([]);
    for (const { name, pod, container } of containers) {
      const given = environment(container);
      expect(Object.keys(given)).not.toHaveLength(0);
      for (const [variable, value] of Object.entries(given)) {
        const secretName = variable.replace(/_FILE$/, '');
        const known = (schema as Record<string, Variable<unknown>>)[secretName];
        expect([variable, known !== undefined, known?.secret === true]).toEqual([
          variable,
          true,
          variable.endsWith('_FILE'),
        ]);
        if (!variable.endsWith('_FILE')) continue;
        const mount = container.volumeMounts?.find(({ mountPath }) => value === `${mountPath}/${secretName}`);
        expect([variable, mount?.readOnly]).toEqual([variable, true]);
        expect(pod.volumes?.find((volume) => volume.name === mount?.name)).toHaveProperty('secret.defaultMode', 0o440);
      }
      expect(container.env?.filter(({ valueFrom }) => valueFrom) ?? []).toEqual([]);
      const config = loadConfig(resolved(container));
      expect(config.DATABASE_URL).toBeDefined();
      expect([name, config.MIGRATION_DATABASE_URL !== undefined]).toEqual([name, ['migrate', 'admin'].includes(name)]);
      expect([name, config.JWT_SECRET !== undefined]).toEqual([name, name !== 'migrate']);
    }
  });

  it('budgets disruption of, and scales, existing workloads', () => {
    for (const name of ['api', 'worker']) {
      const budget = named<PodDisruptionBudget>('PodDisruptionBudget', name);
      expect(budget.spec).toMatchObject({ maxUnavailable: 1, selector: { matchLabels: { [COMPONENT]: name } } });
      expect(named<Deployment>('Deployment', name).spec?.selector.matchLabels).toMatchObject({ [COMPONENT]: name });
    }
    const scalers = all<HorizontalPodAutoscaler>('HorizontalPodAutoscaler');
    expect(scalers.map(({ metadata }) => metadata?.name)).toContain('api');
    for (const { spec } of scalers) {
      const target = named<Deployment>('Deployment', spec?.scaleTargetRef.name as string);
      // An apply that sets `replicas` would undo the autoscaler's decision.
      expect(target.spec).not.toHaveProperty('replicas');
      expect(spec?.minReplicas).toBeGreaterThanOrEqual(2);
    }
    if (folder === 'overlays/large') {
      expect(named<HorizontalPodAutoscaler>('HorizontalPodAutoscaler', 'worker').spec?.metrics?.[0]).toMatchObject({
        type: 'External',
        external: { metric: { name: 'outbox_lag_seconds' } },
      });
    }
    if (folder === 'overlays/small') expect(named<Deployment>('Deployment', 'worker').spec?.replicas).toBe(2);
  });

  it('lets requests in through the ingress alone, and not to health', () => {
    const ingress = named<Ingress>('Ingress', 'api');
    const paths = ingress.spec?.rules?.flatMap(({ http }) => http?.paths ?? []) ?? [];
    expect(paths.map(({ path }) => path)).toEqual(['/api/v1', '/docs', '/openapi.json', '/openapi.yaml']);
    const service = named<Service>('Service', 'api');
    for (const { backend } of paths) expect(backend.service).toEqual({ name: 'api', port: { name: 'http' } });
    expect(service.spec?.ports).toEqual([{ name: 'http', port: 80, targetPort: 'http' }]);
    expect(service.spec?.selector).toMatchObject({ [COMPONENT]: 'api' });
    expect(ingress.spec?.tls?.[0]?.hosts).toEqual(ingress.spec?.rules?.map(({ host }) => host));
  });

  describe('its network', () => {
    const policies = all<NetworkPolicy>('NetworkPolicy');
    const policy = (name: string): NetworkPolicy['spec'] => named<NetworkPolicy>('NetworkPolicy', name)?.spec;

    it('denies traffic that no policy names', () => {
      expect(policy('default-deny')).toEqual({ podSelector: {}, policyTypes: ['Ingress', 'Egress'] });
      // A rule without peers or without ports would open everything.
      for (const { spec } of policies) {
        for (const { from, ports } of spec?.ingress ?? [])
          expect([from?.length, ports?.length]).not.toContain(undefined);
        for (const { to, ports } of spec?.egress ?? []) expect([to?.length, ports?.length]).not.toContain(undefined);
      }
    });

    // deploy/network-policies.spec.ts tests the allowed flows over the rendered objects.
    it('leads to Redis where that is configured', () => {
      const api = containers.find(({ name }) => name === 'api')?.container as Container;
      expect(policy('redis') !== undefined).toBe(environment(api).REDIS_URL_FILE !== undefined);
    });
  });
});
