import { type Job, type Queue, Worker } from 'bullmq';
import { loadConfig } from '../../src/platform/config/config';
import { chooseQueueBackend, workerOptions } from '../../src/platform/queue/queue';
import { DeliveryQueue } from '../../src/webhooks/dispatch/delivery-queue';
import { newTurn, TURN_QUEUE } from '../../src/webhooks/notifications/delivery-job';
import { createTestDatabase, type TestDatabase } from '../harness/databases';
import { JWT_SECRET } from '../harness/service';

interface Backend {
  run(command: string, values: unknown[]): Promise<unknown>;
}

/** A new owner of a shard reads the queue while workers take jobs: what it misses is sent a second time. */
describe('the turns in the queue in PostgreSQL', () => {
  let database: TestDatabase;
  let queue: DeliveryQueue;
  let worker: Worker;

  beforeAll(async () => {
    database = await createTestDatabase();
    const config = loadConfig({ DATABASE_URL: database.serviceUrl, JWT_SECRET });
    chooseQueueBackend(config);
    queue = new DeliveryQueue(config);
    worker = new Worker(TURN_QUEUE, undefined, { ...workerOptions(config, 1), autorun: false });
    worker.on('error', () => undefined); // the end of its connection, with the database
    await worker.waitUntilReady();
  });
  afterAll(async () => {
    await worker.close();
    await queue.close();
    await database.drop();
  });

  it.each([1, 2, 3, 4])('have the job that a worker takes before read %i of a state', async (read) => {
    const turn = newTurn('01a00000-0000-7000-8000-000000000001', [{ deliveryId: 'a', attempt: 1 }]);
    await queue.add([turn]);
    const backend = (queue as unknown as { queue: Queue }).queue.getBackend() as unknown as Backend;
    const run = backend.run.bind(backend);
    let reads = 0;
    let taken: Job | undefined;
    backend.run = async (command, values) => {
      if (command === 'get_range' && ++reads === read) taken = await worker.getNextJob('token');
      return run(command, values);
    };
    try {
      expect((await queue.turns(10)).map(({ id }) => id)).toEqual([turn.id]);
      expect(taken?.id).toBe(turn.id);
    } finally {
      backend.run = run;
      await taken?.moveToCompleted('done', 'token', false);
    }
  });
});
