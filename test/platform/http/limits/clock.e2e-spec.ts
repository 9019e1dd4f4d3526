import { Redis } from 'ioredis';
import { loadConfig } from '../../../../src/platform/config/config';
import { RateLimiter } from '../../../../src/platform/http/limits/rate-limit';
import { ApiClient } from '../../../harness/client';
import { createTestDatabase, type TestDatabase } from '../../../harness/databases';
import { hasRedis, startRedis, type TestRedis } from '../../../harness/redis';
import { type ApiProcess, buildOnce, startApiProcess } from '../../../harness/service-process';
import { until } from '../../../harness/until';

const HOUR_MS = 3_600_000;

describe('a machine whose clock steps back by an hour', () => {
  let database: TestDatabase;
  let api: ApiProcess;

  beforeAll(async () => {
    buildOnce();
    database = await createTestDatabase();
    const steppingClock = require.resolve('../../../harness/stepping-clock.cjs');
    api = await startApiProcess(
      database,
      { RATE_LIMIT_TENANT_PER_SECOND: '200', RATE_LIMIT_TENANT_BURST: '1000', RATE_LIMIT_ADDRESS_PER_MINUTE: '600' },
      ['--require', steppingClock],
    );
  });
  afterAll(async () => {
    await api.kill('SIGKILL');
    await database.drop();
  });

  it('still serves tenants and addresses that were counted before', async () => {
    const client = new ApiClient(api.url);
    const tenant = await client.register();
    expect((await tenant.get('/auth/me')).status).toBe(200);
    const { created_at: before } = await tenant.createOrder();
    api.signal('SIGUSR2');
    const probe = await client.register();
    await until('the clock to step', async () => {
      const { created_at: now } = await probe.createOrder();
      return Date.parse(now) < Date.parse(before) - HOUR_MS / 2;
    });
    expect((await tenant.get('/auth/me')).status).toBe(200);
    expect((await tenant.get('/orders')).status).toBe(200);
    const { email } = tenant.session?.user ?? { email: '' };
    expect((await client.post('/auth/login', { email, password: 'a password for tests' })).status).toBe(200);
  });
});

(hasRedis() ? describe : describe.skip)('a bucket in Redis whose time is from another clock', () => {
  let redis: TestRedis;
  let limiter: RateLimiter;
  let client: Redis;

  beforeAll(async () => {
    redis = await startRedis();
    limiter = new RateLimiter(loadConfig({ REDIS_URL: redis.url, JWT_SECRET: 'x'.repeat(32) }));
    client = new Redis(redis.url);
  });
  afterAll(async () => {
    await limiter.onModuleDestroy();
    client.disconnect();
    await redis.stop();
  });

  it('counts as empty, and fills at the usual rate', async () => {
    const limit = { name: 'tenant', burst: 10, perSecond: 10 };
    const key = 'limit:{tenant:a}';
    // The first results are the process' own until the connection is ready.
    await until('Redis to count', async () => {
      await limiter.take(limit, 'a');
      return (await client.exists(key)) === 1;
    });
    const [seconds] = await client.time();
    await client.set(key, Number(seconds) * 1_000 + HOUR_MS, 'PX', 2 * HOUR_MS);
    const refused = await limiter.take(limit, 'a');
    expect(refused.allowed).toBe(false);
    expect(refused.resetSeconds).toBeLessThanOrEqual(1);
    expect(refused.retryAfterSeconds).toBeLessThanOrEqual(0.2);
    await until('the bucket to fill', async () => (await limiter.take(limit, 'a')).allowed, 2_000);
  });
});
