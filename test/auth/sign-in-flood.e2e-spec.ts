import type { ApiResponse } from '../harness/client';
import { startService, type TestService } from '../harness/service';

const AT_ONCE = 500;

describe('five hundred sign-ins at once', () => {
  let service: TestService;

  beforeAll(async () => {
    service = await startService({ env: { RATE_LIMIT_SIGN_IN_FREE: '1000' } });
  });
  afterAll(() => service.stop());

  it('stop neither health routes nor the requests of another tenant', async () => {
    const [tenant, other] = await Promise.all([service.tenant(), service.tenant()]);
    const email = tenant.session?.user.email;
    const password = 'a password for tests';
    let answered = 0;
    const signIns = Array.from({ length: AT_ONCE }, (_, at) =>
      service.client
        .post('/auth/login', at % 2 === 0 ? { email, password } : { email: `nobody-${at}@example.com`, password })
        .finally(() => void answered++),
    );
    // Beside them, one request after the other: each is served before the sign-ins are through.
    const beside: ApiResponse[] = [];
    for (let round = 0; round < 10; round++) {
      beside.push(await service.client.get('/health/live'), await service.client.get('/health/ready'));
      beside.push(await other.get('/orders?limit=1'));
    }
    const answeredBy = answered;
    const statuses = new Set((await Promise.all(signIns)).map(({ status }) => status));
    expect(beside.map(({ status }) => status)).toEqual(Array<number>(30).fill(200));
    expect(answeredBy).toBeLessThan(AT_ONCE);
    // A sign-in behind a hundred others of one account gets 429.
    expect([...statuses].filter((status) => ![200, 401, 429].includes(status))).toEqual([]);
    expect((await service.client.post('/auth/login', { email, password })).status).toBe(200);
  });
});
