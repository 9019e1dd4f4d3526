import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Deployment } from 'kubernetes-types/apps/v1';
import type { HorizontalPodAutoscaler } from 'kubernetes-types/autoscaling/v2';
import type { ConfigMap } from 'kubernetes-types/core/v1';
import { schema } from '../../src/platform/config/schema';
import { MOST_CONNECTIONS } from '../../src/platform/queue/queue';
import { hasKubectl, KUBERNETES, type Manifest, renderManifests } from '../harness/manifests';
import { renderWithComponents } from './components';

/** PostgreSQL's default of 100, less three for superusers. */
const USABLE = 97;
/** A worker's connections besides its pool, to PostgreSQL itself: the queues, the leader’s lock, LISTEN. */
const BESIDE_THE_POOL = Object.values<number>(MOST_CONNECTIONS).reduce((sum, connections) => sum + connections, 2);
/** With the queue in Redis: the leader's lock and LISTEN. */
const WITHOUT_THE_QUEUE = 2;
/** The Job, and an operator's command with its pool. */
const MIGRATE = 2;

/** Of the connections of SIGN_IN_DATABASE_URL, in each process: docs/operations.md. */
const SIGN_IN_POOL = 6;

const setting = (name: string): number =>
  Number(
    new RegExp(`^${name} = (\\d+)$`, 'm').exec(
      readFileSync(join(__dirname, '../../deploy/pgbouncer/pgbouncer.ini'), 'utf8'),
    )?.[1],
  );

/** The maximum number of pods of a Deployment at once: at its limit, with new ones during a replacement. */
function mostPods(name: string, manifests: Manifest[]): number {
  const named = (kind: string): Manifest | undefined =>
    manifests.find((manifest) => manifest.kind === kind && manifest.metadata?.name === name);
  const deployment = named('Deployment') as Deployment;
  const scaler = named('HorizontalPodAutoscaler') as HorizontalPodAutoscaler | undefined;
  const most = scaler?.spec?.maxReplicas ?? deployment.spec?.replicas ?? 1;
  const surge = deployment.spec?.strategy?.rollingUpdate?.maxSurge;
  expect(surge).toBe('25%');
  return most + Math.ceil(most * 0.25);
}

const renders = hasKubectl() ? describe : describe.skip;

renders('the connections of all pods, at most and while they are replaced', () => {
  const poolSize = (manifests: Manifest[]): number => {
    const configuration = manifests.find(({ kind }) => kind === 'ConfigMap') as ConfigMap;
    return Number(configuration.data?.DB_POOL_SIZE ?? schema.DB_POOL_SIZE.fallback);
  };

  it('fit into a PostgreSQL with its defaults: overlays/small', () => {
    const manifests = renderManifests('overlays/small');
    const [api, worker] = [mostPods('api', manifests), mostPods('worker', manifests)];
    const pool = poolSize(manifests);
    const admin = pool;
    const all = (api + worker) * pool + worker * BESIDE_THE_POOL + MIGRATE + admin;
    expect([api, worker]).toEqual([5, 3]);
    expect(all).toBeLessThanOrEqual(USABLE);
    // With the next larger pools they would not fit: the limits are used fully.
    expect((api + worker + 1) * (pool + 2) + worker * BESIDE_THE_POOL + MIGRATE).toBeGreaterThan(USABLE);
  });

  it('fit into 200 of PostgreSQL with a login for sign-in, and not into its defaults: overlays/small', () => {
    const manifests = renderWithComponents('small', ['sign-in-login', 'queue-login']);
    const [api, worker] = [mostPods('api', manifests), mostPods('worker', manifests)];
    const each = poolSize(manifests) + SIGN_IN_POOL;
    const all = (api + worker + 1) * each + worker * BESIDE_THE_POOL + MIGRATE;
    expect(all).toBeGreaterThan(USABLE);
    expect(all).toBeLessThanOrEqual(USABLE + 100);
    const text = readFileSync(join(KUBERNETES, 'README.md'), 'utf8');
    expect(text).toMatch(/With `components\/sign-in-login` it\s+needs 200\./);
  });

  it('fit into PgBouncer, and PgBouncer’s into PostgreSQL: overlays/large', () => {
    const manifests = renderManifests('overlays/large');
    const [api, worker] = [mostPods('api', manifests), mostPods('worker', manifests)];
    const clients = (api + worker + 1) * poolSize(manifests);
    expect(clients).toBeLessThanOrEqual(setting('max_client_conn'));
    const servers = setting('default_pool_size') + worker * WITHOUT_THE_QUEUE + MIGRATE + poolSize(manifests);
    expect(servers).toBeLessThanOrEqual(USABLE);
  });
});
