import { orderInput, type ApiClient } from './harness/client';
import { startService, type TestService } from './harness/service';

describe('orders', () => {
  let service: TestService;
  let tenant: ApiClient;

  beforeAll(async () => {
    service = await startService();
    tenant = await service.tenant();
  });
  afterAll(() => service.stop());

  it('creates an order with an exact total', async () => {
    const answer = await tenant.post('/orders', orderInput());
    expect(answer.status).toBe(201);
    expect(answer.body).toMatchObject({ status: 'pending', total_amount: '64.48', currency: 'USD', version: 1 });
    expect(answer.headers.get('location')).toBe(`/api/v1/orders/${answer.body.id}`);
    expect((await tenant.get(`/orders/${answer.body.id}`)).body).toEqual(answer.body);
  });

  it('answers 404 for another tenant’s order', async () => {
    const order = await tenant.createOrder();
    const answer = await (await service.tenant()).get(`/orders/${order.id}`);
    expect(answer.status).toBe(404);
    expect(answer.body.detail).toBe(`Order '${order.id}' not found`);
  });
});
