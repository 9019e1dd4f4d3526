import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { type Certificate, makeCertificate } from '../../harness/certificates';
import { createTestDatabase, type TestDatabase } from '../../harness/databases';
import { DebianPostgres, findDebianPostgres } from '../../harness/debian-postgres';
import { createEndpoint } from '../../harness/endpoints';
import { type Receiver, startReceiver } from '../../harness/receiver';
import { freePort, hasRedis, startRedis, type TestRedis } from '../../harness/redis';
import { runProcess } from '../../harness/run-process';
import { JWT_SECRET, startService, type TestService } from '../../harness/service';
import { buildOnce, startProcess } from '../../harness/service-process';
import { until } from '../../harness/until';
import { startWorker, type TestWorker } from '../../harness/worker';

const bin = findDebianPostgres();
/** No authority of the system has signed it. */
const KNOWN_BY_NONE = /: no known authority has signed/;
const ENV = { METRICS_PORT: 'off', PORT: '0', JWT_SECRET };

let folder: string;
let good: Certificate;
let foreign: Certificate;

beforeAll(() => {
  buildOnce();
  folder = mkdtempSync(join(tmpdir(), 'orders-test-tls-'));
  good = makeCertificate(folder, 'good');
  foreign = makeCertificate(folder, 'foreign');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

(bin ? describe : describe.skip)('TLS to PostgreSQL', () => {
  let server: DebianPostgres;
  let plain: TestDatabase;
  let service: TestService | undefined;
  let worker: TestWorker | undefined;
  let receiver: Receiver;

  beforeAll(async () => {
    server = await DebianPostgres.start(bin as string, good);
    await server.sql('postgres', 'create database orders');
    plain = await createTestDatabase();
    receiver = await startReceiver();
  });
  afterAll(async () => {
    await worker?.stop();
    await service?.stop();
    await receiver.stop();
    await plain.drop();
    await server.stop();
  });

  const url = (login: string, query: string, host = 'localhost'): string =>
    `postgres://${login}@${host}:${server.port}/orders?${query}`;
  const verified = (login: string): string => url(login, `sslmode=verify-full&sslrootcert=${good.authority}`);

  it('carries every connection: of migrate, admin, API, worker, leader, queue and replica', async () => {
    const urls = { DATABASE_URL: verified('app_service'), MIGRATION_DATABASE_URL: verified('postgres') };
    const migrated = await runProcess(['migrate'], { ...ENV, ...urls });
    expect([migrated.code, migrated.stderr]).toEqual([0, '']);
    const listed = await runProcess(['admin', 'tenants', 'list'], { ...ENV, ...urls });
    expect([listed.code, listed.stderr]).toEqual([0, '']);

    const database: TestDatabase = { ...plain, serviceUrl: urls.DATABASE_URL, ownerUrl: urls.MIGRATION_DATABASE_URL };
    const env = { WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' };
    service = await startService({ database, env: { ...env, DATABASE_REPLICA_URL: verified('app_service') } });
    worker = await startWorker(database, env);
    const tenant = await service.tenant();
    await createEndpoint(tenant, receiver.url);
    await tenant.createOrder();
    await receiver.waitFor(1);
    const rows = await server.sql<{ name: string; secure: boolean }>(
      'postgres',
      `select distinct application_name as name, ssl as secure
         from pg_stat_activity join pg_stat_ssl using (pid) where datname = 'orders'`,
    );
    expect(rows.length).toBeGreaterThan(1);
    expect(rows.filter(({ secure }) => !secure)).toEqual([]);
    expect(rows.map(({ name }) => name)).toEqual(expect.arrayContaining([expect.stringMatching(/leader$/)]));
  });

  it.each([
    ['an authority that is not known', () => url('app_service', 'sslmode=verify-full'), KNOWN_BY_NONE],
    [
      'another authority',
      () => url('app_service', `sslmode=verify-full&sslrootcert=${foreign.authority}`),
      /: no known authority has signed the certificate; name its file with sslrootcert=FILE\)/,
    ],
    [
      'another host name',
      () => url('app_service', `sslmode=verify-full&sslrootcert=${good.authority}`, '127.0.0.1'),
      /\(the certificate is for another host: .*127\.0\.0\.1/,
    ],
    [
      'a mode that others take for less',
      () => url('app_service', `sslmode=require&sslrootcert=${foreign.authority}`),
      /: no known authority/,
    ],
    [
      'a server without TLS',
      () => `${plain.serviceUrl}?sslmode=verify-full`,
      /\(the server has no TLS: turn it on there, or leave it out of the URL\)/,
    ],
  ])('is refused for %s in one line', async (_, at, reason) => {
    // Each process connects in a way of its own, which one case shows.
    const roles = reason === KNOWN_BY_NONE ? ['api', 'worker', 'migrate', 'admin tenants list'] : ['api'];
    for (const role of roles) {
      const { code, stdout, stderr } = await runProcess(role.split(' '), { ...ENV, DATABASE_URL: at() });
      expect([role, code, stdout]).toEqual([role, 1, '']);
      expect(stderr).toMatch(/^DATABASE_URL: cannot reach (localhost|127\.0\.0\.1):\d+ \(.+\)\n$/);
      expect(stderr).toMatch(reason);
    }
  });

  it('is needed where the server requires it', async () => {
    const { stderr } = await runProcess(['api'], { ...ENV, DATABASE_URL: url('app_service', '') });
    expect(stderr).toMatch(/^DATABASE_URL: localhost:\d+\/orders refuses: .*no encryption/);
  });

  it('names the replica, and continues without it', async () => {
    const replica = `${plain.serviceUrl}?sslmode=verify-full`;
    const process_ = startProcess('api', plain, { DATABASE_REPLICA_URL: replica });
    await until('the warning', () => process_.output().includes('DATABASE_REPLICA_URL: cannot reach'), 20_000);
    expect(process_.output()).toMatch(/DATABASE_REPLICA_URL: cannot reach 127\.0\.0\.1:\d+ \(the server has no TLS/);
    await until('the API listens', () => process_.output().includes('"listening"'), 20_000);
    await process_.kill('SIGTERM');
  });
});

(hasRedis() ? describe : describe.skip)('TLS to Redis', () => {
  let database: TestDatabase;
  let redis: ChildProcess;
  let port: number;
  let plain: TestRedis;
  let receiver: Receiver;

  beforeAll(async () => {
    database = await createTestDatabase();
    receiver = await startReceiver();
    plain = await startRedis();
    port = await freePort();
    const files = [
      '--tls-cert-file',
      good.certificate,
      '--tls-key-file',
      good.key,
      '--tls-ca-cert-file',
      good.authority,
    ];
    redis = spawn(
      'redis-server',
      ['--port', '0', '--tls-port', String(port), '--tls-auth-clients', 'no', '--save', '', ...files],
      { stdio: 'ignore', cwd: folder },
    );
    await delay(300);
  });
  afterAll(async () => {
    redis.kill('SIGKILL');
    await plain.stop();
    await receiver.stop();
    await database.drop();
  });

  it('carries the queue and the limits', async () => {
    const url = `rediss://localhost:${port}/0?cacert=${good.authority}`;
    const env = { REDIS_URL: url, WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' };
    const service = await startService({ database, env });
    const worker = await startWorker(database, env);
    const tenant = await service.tenant();
    await createEndpoint(tenant, receiver.url);
    await tenant.createOrder();
    await receiver.waitFor(1);
    const client = new Redis(port, 'localhost', { tls: { rejectUnauthorized: false } });
    expect(await client.keys('limit:*')).not.toEqual([]);
    expect(await client.exists('{bull}:webhook-turns:meta')).toBe(1);
    client.disconnect();
    await worker.stop();
    await service.stop();
  });

  it.each([
    ['an authority that is not known', () => `rediss://localhost:${port}`, /no known authority .*cacert=FILE\)/],
    [
      'another host name',
      () => `rediss://127.0.0.1:${port}?cacert=${good.authority}`,
      /\(the certificate is for another host: /,
    ],
    [
      'sentinels of another authority',
      () => `rediss+sentinel://localhost:${port}/orders?cacert=${foreign.authority}`,
      /no known authority .*cacert=FILE\)/,
    ],
    [
      'a cluster of another authority',
      () => `rediss+cluster://localhost:${port}?cacert=${foreign.authority}`,
      /no known authority .*cacert=FILE\)/,
    ],
    ['a server without TLS', () => plain.url.replace('redis:', 'rediss:'), /cannot reach 127\.0\.0\.1:\d+ \(.+\)/],
    ['a server that has TLS alone', () => `redis://localhost:${port}`, /cannot reach localhost:\d+ \(.+\)/],
  ])('reports at start of %s that Redis cannot be reached, in one line', async (_, at, reason) => {
    for (const role of ['api', 'worker'] as const) {
      const process_ = startProcess(role, database, { REDIS_URL: at() });
      const lines = (): string[] =>
        process_
          .output()
          .split('\n')
          .filter((line) => line.includes('REDIS_URL'));
      try {
        await until('the warning', () => lines().length > 0, 20_000);
      } finally {
        await process_.kill('SIGKILL');
      }
      expect(JSON.parse(lines()[0] as string)).toMatchObject({
        level: 'warn',
        msg: expect.stringMatching(/^REDIS_URL: cannot reach (localhost|127\.0\.0\.1):\d+ \(.+\): each process counts/),
      });
      expect(lines()[0]).toMatch(reason);
      expect(process_.output()).not.toMatch(/\n\s+at /);
    }
  });
});
