import { EndpointQueue } from './endpoint-queue';
import { Places, type TenantPlaces } from './places';

const CAPACITY = 128;
/** A tenant whose endpoints have not responded may have an eighth of all permits. */
const OF_ONE_TENANT = 16;

describe('places', () => {
  const endpointsWithOneEach = (count: number): EndpointQueue[] =>
    Array.from({ length: count }, (_, at) => {
      const endpoint = new EndpointQueue('tenant', `endpoint-${at}`);
      endpoint.applySettings({ enabled: true, rate_limit: null, ordering: 'none' });
      endpoint.offer(`delivery-${at}`);
      return endpoint;
    });

  it('gives a tenant of new endpoints as many again once those before have ended', () => {
    const places = new Places(CAPACITY);
    const tenant: TenantPlaces = { underWay: 0, unproven: 0 };
    const endpoints = endpointsWithOneEach(3 * OF_ONE_TENANT);
    let now = 1_000_000;
    for (let turn = 0; turn < 3; turn++) {
      places.takeStock(now);
      const taken = endpoints.filter((endpoint) => places.take(tenant, endpoint, now));
      expect(taken).toHaveLength(OF_ONE_TENANT);
      expect(tenant).toEqual({ underWay: OF_ONE_TENANT, unproven: OF_ONE_TENANT });
      now += 5;
      for (const endpoint of taken) {
        const [deliveryId] = endpoint.underWay.keys();
        endpoint.ended(deliveryId as string, true, 1, now);
        places.giveBack(endpoint, 5);
      }
      expect(tenant).toEqual({ underWay: 0, unproven: 0 });
      // The next turn may come before the recount.
      now += turn === 0 ? 1 : 1_000;
    }
  });

  it('gives no more than there are, and what one gives back to the next', () => {
    const places = new Places(4);
    const now = 1_000_000;
    const tenants = Array.from({ length: 5 }, (): TenantPlaces => ({ underWay: 0, unproven: 0 }));
    const endpoints = endpointsWithOneEach(5);
    for (const endpoint of endpoints) {
      endpoint.offer('another');
      endpoint.ended(endpoint.take(now, 'unknown')!.deliveryId, true, 1, now);
    }
    const take = (at: number) => places.take(tenants[at] as TenantPlaces, endpoints[at] as EndpointQueue, now);
    expect([0, 1, 2, 3].map((at) => take(at) !== undefined)).toEqual([true, true, true, true]);
    expect(take(4)).toBeUndefined();
    const [deliveryId] = endpoints[0]!.underWay.keys();
    endpoints[0]!.ended(deliveryId as string, true, 1, now);
    places.giveBack(endpoints[0]!, 1);
    expect(take(4)).toBeDefined();
  });

  it('has room for so many while as many are free, and for a turn of few where there are few', () => {
    const places = new Places(48);
    const tenant: TenantPlaces = { underWay: 0, unproven: 0 };
    const endpoints = endpointsWithOneEach(6);
    const taken = endpoints.filter((endpoint) => places.take(tenant, endpoint, 1_000_000));
    expect(taken).toHaveLength(6);
    expect(places.free).toBe(42);
    places.resize(600);
    expect(places.hasRoomFor(32)).toBe(true);
    places.resize(6 + 31);
    expect(places.hasRoomFor(32)).toBe(true);
    places.resize(6);
    expect(places.hasRoomFor(32)).toBe(false);
    places.resize(0);
    expect(places.free).toBeLessThan(0);
    expect(places.hasRoomFor(32)).toBe(false);
  });
});
