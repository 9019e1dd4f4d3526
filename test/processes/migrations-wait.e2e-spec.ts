import { createServer } from 'node:net';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { migrate, migrationNames } from '../../src/platform/database/migrate/migrations';
import { createEmptyDatabase, type TestDatabase } from '../harness/databases';
import { buildOnce, type ServiceProcess, startProcess } from '../harness/service-process';
import { runProcess } from '../harness/run-process';
import { JWT_SECRET } from '../harness/service';
import { until } from '../harness/until';

const PENDING = `pending: ${migrationNames().join(', ')}`;

/** A port that was free a moment ago: a process that waits and then serves has the same one for both. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

describe.each(['api', 'worker'] as const)('%s, on a database that is not migrated', (role) => {
  let database: TestDatabase;
  let child: ServiceProcess | undefined;
  let url: string;
  let metrics: string;

  /** Starts the process, and waits until its health routes respond. */
  async function start(serviceUrl: string): Promise<void> {
    const [port, metricsPort] = await Promise.all([freePort(), freePort()]);
    url = `http://127.0.0.1:${port}`;
    metrics = `http://127.0.0.1:${metricsPort}/metrics`;
    child = startProcess(role, { serviceUrl }, { PORT: String(port), METRICS_PORT: String(metricsPort) });
    const isLive = (): Promise<boolean> =>
      fetch(`${url}/health/live`).then(
        ({ status }) => status === 200,
        () => false,
      );
    await until('health is answered', isLive, 60_000);
  }
  const ready = async (query = ''): Promise<{ status: number; body: unknown; after: string | null }> => {
    const response = await fetch(`${url}/health/ready${query}`);
    return { status: response.status, body: await response.json(), after: response.headers.get('retry-after') };
  };
  const apply = (): Promise<string[]> =>
    migrate({ migrationUrl: database.ownerUrl, serviceUrl: database.serviceUrl, statementTimeout: 15_000 });

  beforeAll(buildOnce);
  beforeEach(async () => {
    database = await createEmptyDatabase();
  });
  afterEach(async () => {
    await child?.kill('SIGKILL');
    child = undefined;
    await database.drop();
  });

  it('waits: alive, not ready, with the reason in the report, in a metric and in the log; serves once it is', async () => {
    await start(database.serviceUrl);
    const waiting = { status: 503, after: '1', body: { status: 'unavailable', checks: { migrations: PENDING } } };
    expect(await ready()).toMatchObject(waiting);
    // A balancer's exclusions for a process that was ready do not bypass the check.
    expect(await ready('?exclude=database,queue')).toMatchObject(waiting);
    expect(await (await fetch(metrics)).text()).toContain(`\nmigrations_pending ${migrationNames().length}\n`);
    await until('the log says so', () => child?.output().includes('waiting for migrations: run the role migrate'));
    const call = await fetch(`${url}/api/v1/orders?limit=1`, { headers: { 'x-request-id': 'waits' } });
    expect([call.status, call.headers.get('retry-after'), call.headers.get('content-type')]).toEqual([
      503,
      '1',
      'application/problem+json; charset=utf-8',
    ]);
    expect(await call.json()).toMatchObject({ type: 'unavailable', instance: '/api/v1/orders', request_id: 'waits' });

    await apply();
    await until('it is ready', async () => (await ready().catch(() => undefined))?.status === 200, 30_000);
    const text = await (await fetch(metrics)).text();
    expect(text).toContain('\nmigrations_pending 0\n');
    expect(text).toContain('\ndependency_up{dependency="database"} 1\n');
    await child?.kill('SIGTERM');
    expect(await child?.ended).toBe(0);
  });

  it('waits for its login, too, which migrate makes', async () => {
    const refused = new URL(database.serviceUrl);
    refused.password = 'not the password';
    await start(refused.href);
    const { status, body } = await ready();
    expect(status).toBe(503);
    expect(body).toMatchObject({ checks: { database: 'refuses the login (28P01)', migrations: PENDING } });
    expect(child?.output()).not.toContain('not the password');
  });

  it('ends at once, with 0, when it is stopped meanwhile', async () => {
    await start(database.serviceUrl);
    await child?.kill('SIGTERM');
    expect(await child?.ended).toBe(0);
    expect(child?.output()).toContain('stopped while waiting for migrations');
  });

  it('ends with MIGRATIONS_WAIT=0, and names the pending migrations', async () => {
    const env = { DATABASE_URL: database.serviceUrl, JWT_SECRET, PORT: '0', METRICS_PORT: 'off', MIGRATIONS_WAIT: '0' };
    const names = migrationNames().join(', ');
    expect(await runProcess([role], env)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        new RegExp(`^DATABASE_URL: \\S+: migrations are pending: ${names}; run the role migrate first\\n$`),
      ),
    });
  });
});
