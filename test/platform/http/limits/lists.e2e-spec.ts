import { Client } from 'pg';
import { expectProblem } from '../../../harness/problems';
import { startService, type TestService } from '../../../harness/service';

describe('costly lists of one tenant', () => {
  let service: TestService;

  beforeAll(async () => {
    service = await startService({ env: { DB_POOL_SIZE: '16', DB_LIST_TIMEOUT: '1500ms' } });
  });
  afterAll(() => service.stop());

  it('leave connections to others, and end by the timeout of lists', async () => {
    const greedy = await service.tenant();
    const other = await service.tenant();
    const order = await other.createOrder();
    const lock = new Client({ connectionString: service.database.ownerUrl });
    await lock.connect();
    try {
      // Every list of deliveries waits for this as it would for a long scan.
      await lock.query('begin; lock table deliveries in access exclusive mode');
      const begun = performance.now();
      const lists = Array.from({ length: 30 }, () => greedy.get('/webhooks/deliveries'));
      await new Promise((resolve) => setTimeout(resolve, 200));
      for (let i = 0; i < 5; i++) {
        const changed = await other.patch(`/orders/${order.id as string}`, { notes: `note ${i}` });
        expect(changed.status).toBe(200);
      }
      expect(performance.now() - begun).toBeLessThan(1_500);
      const [first] = await Promise.all(lists.slice(0, 1));
      expectProblem(first as Awaited<(typeof lists)[0]>, 'unavailable');
      expect(performance.now() - begun).toBeLessThan(5_000);
      await lock.query('rollback');
      await Promise.all(lists);
    } finally {
      await lock.end();
    }
  });
});
