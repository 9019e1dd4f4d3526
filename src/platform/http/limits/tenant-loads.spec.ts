import type { FastifyRequest } from 'fastify';
import { TenantLoads } from './tenant-loads';

describe('the loads of tenants', () => {
  const request = (authorization: string, socket = {}) =>
    ({ headers: { authorization }, raw: { socket } }) as unknown as FastifyRequest;
  const begin = (loads: TenantLoads, tenantId: string, count: number, credential = `Bearer ${tenantId}`) =>
    Array.from({ length: count }, () => {
      const one = request(credential);
      loads.begin(tenantId, one);
      return one;
    });
  afterEach(() => jest.restoreAllMocks());

  const end = (requests: FastifyRequest[]) => requests.forEach(({ load }) => load && load.inFlight--);

  it('know a tenant by every credential of it that was good', () => {
    const loads = new TenantLoads();
    begin(loads, 'a', 2, 'Bearer one');
    begin(loads, 'a', 1, 'Bearer two');
    expect(loads.of('Bearer one')).toBe(loads.of('Bearer two'));
    expect(loads.of('Bearer one')?.inFlight).toBe(3);
    expect(loads.of('Bearer never seen')).toBeUndefined();
    expect(loads.of(undefined)).toBeUndefined();
  });

  it('find the tenants with the most requests in flight', () => {
    const loads = new TenantLoads();
    jest.spyOn(performance, 'now').mockReturnValue(-60_000);
    const many = begin(loads, 'a', 40);
    begin(loads, 'b', 3);
    begin(loads, 'c', 25);
    const heaviest = (now: number) => ['a', 'b', 'c'].filter((id) => loads.isHeaviest(loads.of(`Bearer ${id}`), now));
    expect(heaviest(0)).toEqual(['a', 'c']);
    expect(loads.isHeaviest(undefined, 0)).toBe(false);
    end(many);
    expect(heaviest(100)).toEqual(['c']);
  });

  it('find the tenants with the most recent requests, also with none in flight', () => {
    const loads = new TenantLoads();
    jest.spyOn(performance, 'now').mockReturnValue(1_000);
    end(begin(loads, 'a', 20));
    end(begin(loads, 'b', 1));
    expect(loads.isHeaviest(loads.of('Bearer b'), 1_001)).toBe(false);
    expect(loads.isHeaviest(loads.of('Bearer a'), 1_002)).toBe(true);
    // A refused request still counts.
    for (let i = 0; i < 30; i++) loads.isHeaviest(loads.of('Bearer b'), 1_003);
    expect(loads.isHeaviest(loads.of('Bearer a'), 1_100)).toBe(true);
    expect(loads.isHeaviest(loads.of('Bearer b'), 1_101)).toBe(true);
    expect(loads.of('Bearer a')?.recent).toBeLessThan(21);
  });

  it('take every request for one of the heaviest where no credential is known', () => {
    expect(new TenantLoads().isHeaviest(undefined, 0)).toBe(true);
  });

  it('remember a bounded number of credentials', () => {
    const loads = new TenantLoads();
    for (let i = 0; i < 10_100; i++) end(begin(loads, 'a', 1, `Bearer ${i}`));
    expect(loads.of('Bearer 0')).toBeUndefined();
    expect(loads.of('Bearer 10099')?.inFlight).toBe(0);
  });
});
