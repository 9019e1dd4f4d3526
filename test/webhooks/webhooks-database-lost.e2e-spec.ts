import { orderInput } from '../harness/client';
import { createEndpoint } from '../harness/endpoints';
import { hasRedis, startRedis, type TestRedis } from '../harness/redis';
import { startReceiver, type Receiver } from '../harness/receiver';
import { startService, type TestService } from '../harness/service';
import { until } from '../harness/until';
import { startWorker, type TestWorker } from '../harness/worker';

const ORDERS = 40;

describe.each(hasRedis() ? ['PostgreSQL', 'Redis'] : ['PostgreSQL'])(
  'a lost database, with BullMQ on %s',
  (backend) => {
    let service: TestService;
    let worker: TestWorker;
    let receiver: Receiver;
    let redis: TestRedis | undefined;

    beforeAll(async () => {
      redis = backend === 'Redis' ? await startRedis() : undefined;
      service = await startService({ env: { WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' } });
      worker = await startWorker(service.database, redis ? { REDIS_URL: redis.url } : {});
      receiver = await startReceiver();
    });
    afterAll(async () => {
      await worker.stop();
      await service.stop();
      await receiver.stop();
      await redis?.stop();
    });

    it('loses and duplicates no event while every connection is dropped repeatedly', async () => {
      const tenant = await service.tenant();
      await createEndpoint(tenant, receiver.url);
      const accepted = new Set<string>();
      for (let i = 0; i < ORDERS; i++) {
        if (i % 8 === 4) {
          await service.database.sql(
            `select pg_terminate_backend(pid) from pg_stat_activity
            where datname = current_database() and usename = 'app_service'`,
          );
        }
        const response = await tenant.post('/orders', orderInput());
        if (response.status === 201) accepted.add(response.body.id as string);
        else expect(response.status).toBe(503);
      }
      expect(accepted.size).toBeGreaterThan(0);
      // PostgreSQL has the truth: an order whose response was lost with its connection may still exist.
      const rows = await service.database.sql<{ id: string }>('select id from orders where tenant_id = $1', [
        tenant.tenantId,
      ]);
      const committed = rows.map((row) => row.id);
      expect(committed).toEqual(expect.arrayContaining([...accepted]));
      const arrived = () => new Set(receiver.received.map((received) => JSON.parse(received.body).data.id as string));
      await until('every committed order', () => committed.every((id) => arrived().has(id)), 60_000);
      expect([...arrived()].sort()).toEqual([...committed].sort());
    });
  },
);
