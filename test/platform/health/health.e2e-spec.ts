import { QueueHealth } from '../../../src/platform/health/queue-health';
import { withDeadline } from '../../../src/platform/deadline';
import { createTestDatabase } from '../../harness/databases';
import { expectProblem } from '../../harness/problems';
import { hasRedis, startRedis, type TestRedis } from '../../harness/redis';
import { startService, type TestService } from '../../harness/service';
import { TcpProxy } from '../../harness/tcp-proxy';
import { until } from '../../harness/until';

const ready = { status: 'ok', checks: { database: 'ok', migrations: 'ok', queue: 'ok' } };
const withoutQueue = { status: 'ok', checks: { database: 'ok', migrations: 'ok' } };
const queueAway = { status: 'unavailable', checks: { database: 'ok', migrations: 'ok', queue: 'unavailable' } };

describe('readiness', () => {
  describe('with the queue in PostgreSQL', () => {
    let service: TestService;
    beforeAll(async () => {
      service = await startService();
    });
    afterAll(() => service.stop());

    it('looks at the database, its migrations and the queue', async () => {
      const response = await service.client.get('/health/ready');
      expect(response).toMatchObject({ status: 200, body: ready });
      expect(response.body).toEqual(ready);
    });

    /** A result is valid for a second. */
    const readyTo = (status: number) =>
      until(`readiness to be ${status}`, async () => {
        const response = await service.client.get('/health/ready');
        return response.status === status && response;
      });

    it('falls while the queue’s tables are not there', async () => {
      await service.database.sql('alter table bullmq.job rename to gone');
      expect(await readyTo(503)).toMatchObject({ status: 503, body: queueAway });
      await service.database.sql('alter table bullmq.gone rename to job');
      await readyTo(200);
    });

    it('checks once a second, whatever the number of requests', async () => {
      const look = jest.spyOn(service.app.get(QueueHealth, { strict: false }), 'assertThere');
      for (let i = 0; i < 40; i++) expect((await service.client.get('/health/ready')).status).toBe(200);
      expect(look.mock.calls.length).toBeLessThanOrEqual(4);
      look.mockRestore();
    });

    it('excludes the database and the queue on request: the process itself remains', async () => {
      await service.database.sql('alter table bullmq.job rename to gone');
      await service.database.sql('alter table migrations rename to gone_too');
      const away = { status: 'unavailable', checks: { database: 'unavailable', queue: 'unavailable' } };
      await until('both to be missed', async () => {
        return JSON.stringify((await service.client.get('/health/ready')).body) === JSON.stringify(away);
      });
      for (const exclude of ['database,queue', 'queue,database']) {
        const response = await service.client.get(`/health/ready?exclude=${exclude}`);
        expect(response).toMatchObject({ status: 200, body: { status: 'ok', checks: {} } });
        expect(response.body).toEqual({ status: 'ok', checks: {} });
      }
      expect((await service.client.get('/health/ready?exclude=database')).body).toEqual({
        status: 'unavailable',
        checks: { queue: 'unavailable' },
      });
      expect((await service.client.get('/health/ready?exclude=queue')).body).toEqual({
        status: 'unavailable',
        checks: { database: 'unavailable' },
      });
      const metrics = await service.metrics.registry.metrics();
      expect(metrics).toContain('\ndependency_up{dependency="database"} 0\n');
      expect(metrics).toContain('\ndependency_up{dependency="queue"} 0\n');
      await service.database.sql('alter table bullmq.gone rename to job');
      await service.database.sql('alter table gone_too rename to migrations');
      await readyTo(200);
      expect(await service.metrics.registry.metrics()).toContain('\ndependency_up{dependency="database"} 1\n');
    });

    it('excludes the queue on request, and nothing else', async () => {
      const response = await until('the database to be seen again', async () => {
        const asked = await service.client.get('/health/ready?exclude=queue');
        return asked.status === 200 && asked;
      });
      expect(response.body).toEqual(withoutQueue);
      for (const query of [
        'exclude=migrations',
        'exclude=',
        'exclude=queue,queue',
        'exclude=queue&exclude=queue',
        'except=queue',
      ]) {
        expectProblem(await service.client.get(`/health/ready?${query}`), 'validation_error');
      }
    });
  });

  it('is shown at a scrape without waiting for a database that hangs', async () => {
    const database = await createTestDatabase();
    const proxy = await TcpProxy.start(Number(new URL(database.serviceUrl).port));
    const behind = { ...database, serviceUrl: proxy.through(database.serviceUrl) };
    const service = await startService({ database: behind });
    proxy.hang();
    // Readiness itself waits for 2 s.
    const scraped = await withDeadline(service.metrics.registry.metrics(), 1_800, () => new Error('the scrape waits'));
    expect(scraped).toContain('\ndependency_up{dependency="database"} 0\n');
    await proxy.pass();
    await service.stop();
    await proxy.refuse();
    await database.drop();
  });

  (hasRedis() ? describe : describe.skip)('with the queue in Redis', () => {
    let redis: TestRedis;
    let service: TestService;
    beforeAll(async () => {
      redis = await startRedis();
      service = await startService({ env: { REDIS_URL: redis.url } });
    });
    afterAll(async () => {
      await service.stop();
      await redis.stop();
    });

    it('falls while Redis is away, names it, and rises by itself; without the queue it stays', async () => {
      await until('ready', async () => (await service.client.get('/health/ready')).status === 200);
      await redis.kill();
      const response = await until('Redis to be missed', async () => {
        const seen = await service.client.get('/health/ready');
        return seen.status === 503 && seen;
      });
      expect(response.body).toEqual(queueAway);
      expect(response.headers.get('retry-after')).toBe('1');
      expect(await service.client.get('/health/ready?exclude=queue')).toMatchObject({
        status: 200,
        body: withoutQueue,
      });
      expect((await service.client.get('/health/live')).status).toBe(200);
      await redis.start();
      await until('ready again', async () => (await service.client.get('/health/ready')).status === 200);
    });
  });
});
