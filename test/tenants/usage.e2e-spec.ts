import { startService, type TestService } from '../harness/service';

describe('GET /tenant/usage', () => {
  let service: TestService;

  beforeAll(async () => {
    service = await startService();
  });
  afterAll(() => service.stop());

  it('shows what the tenant uses, its limits, and when a daily amount begins anew', async () => {
    const tenant = await service.tenant();
    await tenant.post('/webhooks/endpoints', { url: 'https://example.com/hook', event_types: ['none.none'] });
    await (await service.tenant()).createOrder();
    await tenant.createOrder();
    const usage = await tenant.get('/tenant/usage');
    expect(usage.status).toBe(200);
    const midnight = new Date(Math.ceil(new Date().getTime() / 86_400_000) * 86_400_000).toISOString();
    expect(usage.body.data).toEqual(
      expect.arrayContaining([
        { name: 'webhook_endpoints', used: 1, limit: 1_000, resets_at: null },
        { name: 'webhook_event_types', used: 0, limit: 500, resets_at: null },
        { name: 'webhook_endpoints_of_one_host', used: 1, limit: 10_000, resets_at: null },
        { name: 'events', used: 1, limit: 10_000_000, resets_at: midnight },
        { name: 'event_bytes', used: expect.any(Number) as number, limit: 20_480 * 1024 * 1024, resets_at: midnight },
        { name: 'deliveries', used: 0, limit: 50_000_000, resets_at: midnight },
        // The order, its items, its line of history and its event.
        { name: 'stored_rows', used: 5, limit: 1_000_000_000, resets_at: null },
      ]),
    );
  });
});
