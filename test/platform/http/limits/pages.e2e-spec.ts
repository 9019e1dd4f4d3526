import { randomUUID } from 'node:crypto';
import type { ApiClient } from '../../../harness/client';
import { startService, type TestService } from '../../../harness/service';

const MIB = 1024 * 1024;
/** The frame of a page around its rows. */
const FRAME = 1_024;

interface Listed {
  id: string;
}

describe('a page', () => {
  let service: TestService;

  beforeAll(async () => {
    service = await startService();
  });
  afterAll(() => service.stop());

  /** Walks the list in pages as large as they may be. */
  const walk = async (tenant: ApiClient, path: string): Promise<{ ids: string[]; bytes: number[] }> => {
    const ids: string[] = [];
    const bytes: number[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const response = await tenant.get(`${path}?limit=100${cursor === '' ? '' : `&cursor=${cursor}`}`);
      expect(response.status).toBe(200);
      bytes.push(Buffer.byteLength(response.text));
      ids.push(...(response.body.data as Listed[]).map(({ id }) => id));
      expect(response.body.has_more).toBe(response.body.next_cursor !== null);
      cursor = response.body.next_cursor as string | null;
    }
    return { ids, bytes };
  };

  it('of events ends at 1 MiB of rows, and the next one continues after it', async () => {
    const tenant = await service.tenant();
    const made: string[] = [];
    for (let i = 0; i < 12; i++) {
      const event = await tenant.post('/webhooks/events', { type: 'big.one', data: { s: 'ä'.repeat(120_000) } });
      expect(event.status).toBe(202);
      made.unshift((event.body as Listed).id);
    }
    const { ids, bytes } = await walk(tenant, '/webhooks/events');
    expect(ids).toEqual(made);
    expect(Math.max(...bytes)).toBeLessThanOrEqual(MIB + FRAME);
    expect(bytes.length).toBeLessThanOrEqual(4);
  });

  it('of orders ends at 1 MiB of rows, and an export has them all', async () => {
    const tenant = await service.tenant();
    const metadata = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`k${i}`, 'ü'.repeat(500)]));
    const order = {
      customer_id: randomUUID(),
      currency: 'USD',
      items: [{ product_id: 'p', product_name: 'P', quantity: 1, unit_price: '1' }],
      metadata,
    };
    for (let i = 0; i < 2; i++) {
      expect((await tenant.post('/orders/batch', { orders: Array(25).fill(order) })).status).toBe(201);
    }
    const { ids, bytes } = await walk(tenant, '/orders');
    expect(new Set(ids).size).toBe(50);
    expect(Math.max(...bytes)).toBeLessThanOrEqual(MIB + FRAME);
    expect(bytes.length).toBeLessThanOrEqual(5);
    const exported = (await tenant.get('/orders/export?format=ndjson')).text.trim().split('\n');
    expect(exported.map((line) => (JSON.parse(line) as Listed).id)).toEqual(ids);
  });

  it('has one row where that is larger than a page', async () => {
    const tenant = await service.tenant();
    const event = await tenant.post('/webhooks/events', { type: 'big.one', data: { a: 1 } });
    const small = (event.body as Listed).id;
    // Larger than any client may create it: rows from before a limit was lowered are still listed.
    await service.database.sql(`update events set data = json_build_object('s', repeat('x', 2000000)) where id = $1`, [
      small,
    ]);
    const newer = await tenant.post('/webhooks/events', { type: 'big.one', data: { a: 1 } });
    const { ids } = await walk(tenant, '/webhooks/events');
    expect(ids).toEqual([(newer.body as Listed).id, small]);
  });
});
