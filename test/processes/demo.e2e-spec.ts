import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seedDemo } from '../../src/dev/demo';
import { OrdersService } from '../../src/orders/orders.service';
import { startService, type TestService } from '../harness/service';

describe('the demo tenant', () => {
  let service: TestService;
  let folder: string;

  beforeEach(async () => {
    service = await startService();
    folder = mkdtempSync(join(tmpdir(), 'orders-demo-'));
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await service.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const seed = () => seedDemo(service.app, folder, () => undefined);

  /** The demo's orders, oldest first. */
  async function orders(): Promise<string[]> {
    const rows = await service.database.sql<{ line: string }>(
      `select status || ' ' || total_amount || ' ' || currency || ' ' || version as line from orders order by id`,
    );
    return rows.map(({ line }) => line);
  }

  it('is made once, however often it is seeded', async () => {
    const signIn = await seed();
    const made = await orders();
    expect(made).toHaveLength(36);
    expect(new Set(made.map((line) => line.split(' ')[0]))).toEqual(
      new Set(['pending', 'confirmed', 'processing', 'completed', 'cancelled']),
    );
    expect(await seed()).toEqual(signIn);
    expect(await orders()).toEqual(made);
    expect(signIn.password).toBe(readFileSync(join(folder, 'demo-password'), 'utf8').trim());
    expect((await service.client.post('/auth/login', signIn)).status).toBe(200);
  });

  it('is finished by the next start where one was killed on the way, wherever that was', async () => {
    const ordersService = service.app.get(OrdersService);
    const create = ordersService.create.bind(ordersService);
    const changeStatus = ordersService.changeStatus.bind(ordersService);
    let left = 0;
    const step = (): void => {
      if (left-- <= 0) throw new Error('killed');
    };
    jest.spyOn(ordersService, 'create').mockImplementation(async (...args) => {
      step();
      return create(...args);
    });
    jest.spyOn(ordersService, 'changeStatus').mockImplementation(async (...args) => {
      step();
      return changeStatus(...args);
    });
    // Before the first order, between an order and its changes, between two changes, after several orders.
    for (const steps of [0, 2, 1, 3, 17, 5, 20]) {
      left = steps;
      await expect(seed()).rejects.toThrow('killed');
    }
    left = Infinity;
    await seed();
    const resumed = await orders();

    await service.stop();
    service = await startService();
    rmSync(join(folder, 'demo-complete'));
    await seed();
    expect(resumed).toEqual(await orders());
  });

  it('leaves an account with its address and another password unchanged', async () => {
    const body = { email: 'demo@example.com', password: 'a person’s own password', tenant_name: 'Mine' };
    expect((await service.client.post('/auth/register', body)).status).toBe(201);
    await seed();
    expect(await orders()).toEqual([]);
  });
});
