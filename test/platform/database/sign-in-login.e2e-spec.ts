import { Client } from 'pg';
import { loadConfig } from '../../../src/platform/config/config';
import { migrate } from '../../../src/platform/database/migrate/migrations';
import { admin } from '../../harness/admin';
import { TestCluster } from '../../harness/cluster';
import { type TestDatabase, withLogin } from '../../harness/databases';
import { freePort } from '../../harness/redis';
import { startService, type TestService } from '../../harness/service';
import { buildOnce, startProcess } from '../../harness/service-process';
import { until } from '../../harness/until';

/** Roles belong to a whole server, so that this suite has one of its own. */
describe('a login of its own for sign-in', () => {
  let cluster: TestCluster;
  let database: TestDatabase;
  let signInUrl: string;
  let service: TestService | undefined;

  const run = (withSignIn: boolean) =>
    migrate({
      migrationUrl: database.ownerUrl,
      serviceUrl: database.serviceUrl,
      signInUrl: withSignIn ? signInUrl : undefined,
      statementTimeout: 15_000,
    });

  beforeAll(async () => {
    cluster = await TestCluster.start();
    await cluster.sql('postgres', 'create database orders');
    const ownerUrl = cluster.url('orders');
    database = {
      name: 'orders',
      ownerUrl,
      serviceUrl: withLogin(ownerUrl, 'app_service', 'service'),
      sql: (text) => cluster.sql('orders', text),
      drop: () => Promise.resolve(),
    };
    signInUrl = withLogin(ownerUrl, 'app_sign_in', 'sign-in');
    await run(false);
  });
  afterEach(async () => {
    await service?.stop();
    service = undefined;
  });
  afterAll(() => cluster.remove());

  /** The roles that a login can take on. */
  async function rolesOf(connectionString: string): Promise<string[]> {
    const client = new Client({ connectionString });
    await client.connect();
    const taken: string[] = [];
    for (const role of ['app_service', 'app_sign_in', 'app_members', 'app_operator']) {
      await client.query(`set role ${role}`).then(
        () => taken.push(role),
        () => undefined,
      );
    }
    await client.end();
    return taken;
  }

  async function works(env: Record<string, string>): Promise<void> {
    service = await startService({ database, env });
    const tenant = await service.tenant();
    await tenant.createOrder();
    const { email } = tenant.session?.user ?? {};
    const again = await service.client.post('/auth/login', { email, password: 'a password for tests' });
    expect(again.status).toBe(200);
    expect((await service.client.post('/auth/login', { email, password: 'a wrong password' })).status).toBe(401);
    const refreshed = await service.client.post('/auth/refresh', { refresh_token: again.body.refresh_token });
    expect(refreshed.status).toBe(200);
  }

  it('is made by migrate beside the running release, and parts the two logins at the next run', async () => {
    await run(true);
    // A process of before goes on meanwhile.
    await works({});
    await service?.stop();
    expect(await rolesOf(database.serviceUrl)).toContain('app_sign_in');
    await run(true);
    expect(await rolesOf(database.serviceUrl)).toEqual(['app_service', 'app_members']);
    expect(await rolesOf(signInUrl)).toEqual(['app_sign_in']);

    await works({ SIGN_IN_DATABASE_URL: signInUrl });
    const logins = await cluster.sql<{ login: string }>(
      'postgres',
      `select distinct usename as login from pg_stat_activity where datname = 'orders' and usename like 'app\\_%' order by 1`,
    );
    expect(logins.map(({ login }) => login)).toEqual(['app_service', 'app_sign_in']);
    const shown = await admin(database, ['tenants', 'list'], { SIGN_IN_DATABASE_URL: signInUrl });
    expect(shown.lines).toHaveLength(2);
  });

  it('is named where it cannot be had', async () => {
    await run(true);
    const wrong = withLogin(database.ownerUrl, 'app_sign_in', 'zqxj');
    const started = startService({ database, env: { SIGN_IN_DATABASE_URL: wrong } });
    await expect(started).rejects.toMatchObject({
      internal: expect.stringMatching(/^SIGN_IN_DATABASE_URL: cannot connect to 127\.0\.0\.1:\d+ \(.*28P01.*\)$/),
    });
    expect(() => loadConfig({ SIGN_IN_DATABASE_URL: database.serviceUrl })).toThrow(
      'SIGN_IN_DATABASE_URL must have the login app_sign_in',
    );
  });

  it.each(['api', 'worker'] as const)('lets a process (%s) that has it before migrate made it wait', async (role) => {
    buildOnce();
    const queueUrl = withLogin(database.ownerUrl, 'app_queue', 'late');
    const lateUrl = withLogin(database.ownerUrl, 'app_sign_in', 'late');
    const apply = (more: { queueUrl?: string }) =>
      migrate({
        migrationUrl: database.ownerUrl,
        serviceUrl: database.serviceUrl,
        signInUrl: lateUrl,
        ...more,
        statementTimeout: 15_000,
      });
    await run(true);
    for (const login of ['app_sign_in', 'app_queue']) {
      await cluster.sql('orders', `alter role ${login} nologin`).catch(() => undefined); // not made yet
    }
    const port = await freePort();
    const env = { PORT: String(port), SIGN_IN_DATABASE_URL: lateUrl, QUEUE_DATABASE_URL: queueUrl };
    const child = startProcess(role, database, env);
    try {
      const checks = async (): Promise<unknown> => {
        const answer = await fetch(`http://127.0.0.1:${port}/health/ready`).catch(() => undefined);
        return answer && { status: answer.status, ...((await answer.json()) as { checks: object }).checks };
      };
      const waits = (login: string) =>
        until(
          `${role} waits for ${login}`,
          async () => {
            const found = (await checks()) as { status: number; database: string; migrations: string } | undefined;
            return found?.status === 503 && found.migrations === 'ok' && found.database.includes(` ${login} (28`);
          },
          60_000,
        );
      await waits('app_sign_in');
      await apply({});
      await waits('app_queue');
      await apply({ queueUrl });
      await until(
        `${role} is ready`,
        async () => ((await checks()) as { status: number } | undefined)?.status === 200,
        60_000,
      );
      expect(child.output()).not.toContain('late');
    } finally {
      await child.kill('SIGKILL');
    }
  });
});
