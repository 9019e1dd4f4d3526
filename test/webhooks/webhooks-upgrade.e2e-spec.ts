import { Queue, Worker } from 'bullmq';
import { Config, loadConfig } from '../../src/platform/config/config';
import { chooseQueueBackend, producerOptions, workerOptions } from '../../src/platform/queue/queue';
import { DELIVERY_JOB_OPTIONS, DELIVERY_QUEUE } from '../../src/webhooks/notifications/delivery-job';
import type { ApiClient } from '../harness/client';
import { createEndpoint } from '../harness/endpoints';
import { hasRedis, startRedis, type TestRedis } from '../harness/redis';
import { type Receiver, startReceiver } from '../harness/receiver';
import { JWT_SECRET, startService, type TestService } from '../harness/service';
import { until } from '../harness/until';
import { startWorker, type TestWorker } from '../harness/worker';
import { seedDeliveries } from '../harness/webhooks';

/** A job of release 0.1.0: one delivery, under the id `<delivery>-<attempt>`. */
interface PreviousJob {
  tenantId: string;
  deliveryId: string;
  attempt: number;
}

describe.each(hasRedis() ? ['PostgreSQL', 'Redis'] : ['PostgreSQL'])(
  'a worker that follows one of release 0.1.0, with BullMQ on %s',
  (backend) => {
    let service: TestService;
    let receiver: Receiver;
    let redis: TestRedis | undefined;
    let tenant: ApiClient;
    let deliveryId: string;
    let queue: Queue<PreviousJob>;
    let config: Config;
    let worker: TestWorker | undefined;
    let previous: Worker<PreviousJob> | undefined;

    beforeAll(async () => {
      redis = backend === 'Redis' ? await startRedis() : undefined;
      service = await startService({ env: { WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' } });
      config = loadConfig({
        DATABASE_URL: service.database.serviceUrl,
        JWT_SECRET,
        ...(redis ? { REDIS_URL: redis.url } : {}),
      });
    });
    beforeEach(async () => {
      receiver = await startReceiver();
      chooseQueueBackend(config);
      queue = new Queue(DELIVERY_QUEUE, producerOptions(config, DELIVERY_JOB_OPTIONS));
      queue.on('error', () => undefined);
      tenant = await service.tenant();
      const endpoint = await createEndpoint(tenant, receiver.url);
      [deliveryId] = (await seedDeliveries(service.database, tenant.tenantId, endpoint.id, [
        { status: 'pending' },
      ])) as [string];
      await service.database.sql('update deliveries set next_attempt_at = now() where id = $1', [deliveryId]);
      await queue.add('deliver', { tenantId: tenant.tenantId, deliveryId, attempt: 1 }, { jobId: `${deliveryId}-1` });
    });
    afterEach(async () => {
      await worker?.stop();
      await previous?.close(true).catch(() => undefined);
      await queue.close();
      await receiver.stop();
      worker = previous = undefined;
    });
    afterAll(async () => {
      await service.stop();
      await redis?.stop();
    });

    const start = async (): Promise<void> => {
      worker = await startWorker(service.database, redis ? { REDIS_URL: redis.url } : {});
      await until('it to lead', () => worker?.logLines.some((line) => line.includes('leading')), 30_000);
    };
    const stateOf = async () => {
      const [row] = await service.database.sql('select status, attempt_count from deliveries where id = $1', [
        deliveryId,
      ]);
      return row;
    };
    /** An order is sent after everything that was due before. */
    const somethingElse = async (): Promise<void> => {
      const order = await tenant.createOrder();
      await until('a new order to arrive', () =>
        receiver.received.some(({ body }) => body.includes(order.id as string)),
      );
    };
    const arrivals = () => receiver.received.filter(({ headers }) => headers['webhook-id'] === deliveryId).length;

    it('does the jobs that are left in its queue, once', async () => {
      await start();
      await until('it to succeed', async () => (await stateOf())?.status === 'succeeded');
      await somethingElse();
      expect([arrivals(), await stateOf()]).toEqual([1, { status: 'succeeded', attempt_count: 1 }]);
      await until('its job to be gone', async () => (await queue.getJobState(`${deliveryId}-1`)) === 'unknown');
    });

    it('leaves alone what a worker of that release is sending', async () => {
      let finish: (() => void) | undefined;
      previous = new Worker(DELIVERY_QUEUE, () => new Promise<void>((resolve) => (finish = resolve)), {
        ...workerOptions(config, 1),
      });
      previous.on('error', () => undefined);
      await until('it to take the job', () => finish !== undefined);
      await start();
      await somethingElse();
      expect([arrivals(), await stateOf()]).toEqual([0, { status: 'pending', attempt_count: 0 }]);
      await service.database.sql(
        `update deliveries set status = 'succeeded', attempt_count = 1, next_attempt_at = null, completed_at = now()
          where id = $1`,
        [deliveryId],
      );
      finish?.();
      await until('its job to be gone', async () => (await queue.getJobState(`${deliveryId}-1`)) === 'unknown');
      await somethingElse();
      expect(arrivals()).toBe(0);
    });

    it('sends again what a worker of that release was sending when it died', async () => {
      let taken = false;
      previous = new Worker(
        DELIVERY_QUEUE,
        () => {
          taken = true;
          return new Promise<void>(() => undefined);
        },
        { ...workerOptions(config, 1), skipLockRenewal: true },
      );
      previous.on('error', () => undefined);
      await until('it to take the job', () => taken);
      await previous.close(true);
      await start();
      await until('it to succeed', async () => (await stateOf())?.status === 'succeeded', 30_000);
      expect([arrivals(), await stateOf()]).toEqual([1, { status: 'succeeded', attempt_count: 1 }]);
    });
  },
);
