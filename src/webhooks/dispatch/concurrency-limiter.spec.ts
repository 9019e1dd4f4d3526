import { ConcurrencyLimiter } from './concurrency-limiter';
import { EndpointQueue } from './endpoint-queue';

const CAPACITY = 128;
/** A tenant whose endpoints have not responded may have an eighth of all permits. */
const OF_ONE_TENANT = 16;

describe('the concurrency limiter', () => {
  const newEndpoint = (tenantId: string, at: number): EndpointQueue => {
    const endpoint = new EndpointQueue(tenantId, `endpoint-${at}`);
    endpoint.applySettings({ enabled: true, rate_limit: null, ordering: 'none' });
    endpoint.offer(`delivery-${at}`);
    return endpoint;
  };
  const endpointsWithOneEach = (count: number): EndpointQueue[] =>
    Array.from({ length: count }, (_, at) => newEndpoint('tenant', at));
  const end = (limiter: ConcurrencyLimiter, endpoint: EndpointQueue, deliveryId: string, now: number): void => {
    expect(endpoint.complete({ deliveryId, ok: true, durationMs: 1 }, now)).toBeDefined();
    limiter.release(endpoint, 5);
  };

  it('gives a tenant of new endpoints its full share again after the end of earlier deliveries', () => {
    const limiter = new ConcurrencyLimiter(CAPACITY);
    const endpoints = endpointsWithOneEach(3 * OF_ONE_TENANT);
    let now = 1_000_000;
    for (let turn = 0; turn < 3; turn++) {
      limiter.recount(now);
      const acquired = endpoints.flatMap((endpoint) => {
        const due = limiter.acquire(endpoint, now);
        return due ? [{ endpoint, ...due }] : [];
      });
      expect(acquired).toHaveLength(OF_ONE_TENANT);
      expect(limiter.used).toBe(OF_ONE_TENANT);
      now += 5;
      for (const { endpoint, deliveryId } of acquired) end(limiter, endpoint, deliveryId, now);
      expect(limiter.used).toBe(0);
      expect(limiter.isBusy('tenant')).toBe(false);
      // The next turn may come before the recount.
      now += turn === 0 ? 1 : 1_000;
    }
  });

  it('grants at most its permits, and a released one again', () => {
    const limiter = new ConcurrencyLimiter(4);
    const now = 1_000_000;
    const endpoints = Array.from({ length: 5 }, (_, at) => newEndpoint(`tenant-${at}`, at));
    for (const endpoint of endpoints) {
      endpoint.offer('another');
      const { deliveryId } = endpoint.take(now, 'unknown')!;
      endpoint.complete({ deliveryId, ok: true, durationMs: 1 }, now);
    }
    const acquire = (at: number) => limiter.acquire(endpoints[at]!, now);
    const acquired = [0, 1, 2, 3].map(acquire);
    expect(acquired.every((due) => due?.deliveryId === 'another')).toBe(true);
    expect(acquire(4)).toBeUndefined();
    end(limiter, endpoints[0]!, 'another', now);
    expect(acquire(4)).toBeDefined();
  });

  it('has enough free permits for a turn, or for a smaller turn with few permits in all', () => {
    const limiter = new ConcurrencyLimiter(48);
    const acquired = endpointsWithOneEach(6).filter((endpoint) => limiter.acquire(endpoint, 1_000_000));
    expect(acquired).toHaveLength(6);
    expect(limiter.free).toBe(42);
    limiter.resize(600);
    expect(limiter.hasFree(32)).toBe(true);
    limiter.resize(6 + 31);
    expect(limiter.hasFree(32)).toBe(true);
    limiter.resize(6);
    expect(limiter.hasFree(32)).toBe(false);
    limiter.resize(0);
    expect(limiter.free).toBeLessThan(0);
    expect(limiter.hasFree(32)).toBe(false);
  });
});
