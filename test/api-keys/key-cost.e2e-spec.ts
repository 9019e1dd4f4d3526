import { ConnectionManager } from '../../src/platform/database/connections/connection-manager';
import { type ApiClient, orderInput } from '../harness/client';
import { makeKey } from '../harness/members';
import { startService, type TestService } from '../harness/service';

/** The cost of a request with an API key beside that with an access token, in statements and round trips. */
describe('a request with a warm API key', () => {
  let service: TestService;
  let owner: ApiClient;
  let key: ApiClient;

  beforeAll(async () => {
    service = await startService();
    owner = await service.tenant();
    key = (await makeKey(owner, { scopes: ['orders:read', 'orders:write'] })).client;
    await owner.createOrder();
  });
  afterAll(() => service.stop());

  /** The statements of a request by their names, in the groups in which they travel together. */
  async function tripsOf(client: ApiClient, method: string, path: string, body?: unknown): Promise<string[][]> {
    const { spans } = service.app.get(ConnectionManager, { strict: false });
    const around = spans.around.bind(spans);
    const trips: string[][] = [];
    const spy = jest.spyOn(spans, 'around').mockImplementation((statements, work) => {
      trips.push(statements.map(({ name }) => String(name)));
      return around(statements, work) as never;
    });
    try {
      expect((await client.request(method, path, { body })).status).toBeLessThan(300);
      // Counters of credentials are compared, uses written and the relay woken beside the requests.
      return trips.filter((trip) => !/epochs|note_uses|usage|notify/.test(trip.join(' ')));
    } finally {
      spy.mockRestore();
    }
  }

  it.each([
    ['GET', '/orders?limit=20', undefined],
    ['GET', '/orders/:id', undefined],
    ['POST', '/orders', orderInput()],
  ])('sends the statements of one with an access token, in as many round trips: %s %s', async (method, path, body) => {
    const [{ id }] = (await owner.get('/orders?limit=1')).body.data as [{ id: string }];
    const url = path.replace(':id', id);
    for (const client of [owner, key]) await client.request(method, url, { body });
    const [ofToken, ofKey] = [await tripsOf(owner, method, url, body), await tripsOf(key, method, url, body)];
    expect(ofToken.flat().length).toBeGreaterThan(0);
    expect(ofKey).toEqual(ofToken);
  });
});
