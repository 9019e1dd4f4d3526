import { startService, type TestService } from '../harness/service';

/** Everything except the date continues unchanged. */
const RUNS_ON = [
  'hrtime',
  'nextTick',
  'performance',
  'queueMicrotask',
  'setImmediate',
  'clearImmediate',
  'setInterval',
  'clearInterval',
  'setTimeout',
  'clearTimeout',
] as const;

describe('the clock of a process', () => {
  let service: TestService | undefined;
  afterEach(async () => {
    jest.useRealTimers();
    await service?.stop();
    service = undefined;
  });

  it.each([
    [20 * 60, '1200 s ahead of the database'],
    [-20 * 60, '1200 s behind the database'],
  ])('makes it unready where it is %i s off the database’s, and reports it', async (seconds, text) => {
    service = await startService();
    jest.useFakeTimers({ now: Date.now() + seconds * 1_000, doNotFake: [...RUNS_ON] });
    const response = await service.client.get('/health/ready');
    expect(response).toMatchObject({ status: 503, body: { status: 'unavailable', checks: { database: 'ok' } } });
    const { checks } = response.body as { checks: { clock: string } };
    expect(Math.abs(parseInt(checks.clock, 10) - 1200)).toBeLessThanOrEqual(2);
    expect(checks.clock.replace(/^\d+/, '1200')).toBe(text);
    const [, shown] = /\nclock_ahead_seconds (\S+)\n/.exec(await service.metrics.registry.metrics()) ?? [];
    expect(Math.abs(Number(shown) - seconds)).toBeLessThan(5);
    // The database admits the founder of a tenant by the time in its id, which is the database's.
    await service.client.register();
  });

  it('is not mentioned where it is right', async () => {
    service = await startService();
    const response = await service.client.get('/health/ready');
    expect(response.status).toBe(200);
    expect(response.body).not.toHaveProperty('checks.clock');
    const [, shown] = /\nclock_ahead_seconds (\S+)\n/.exec(await service.metrics.registry.metrics()) ?? [];
    expect(Math.abs(Number(shown))).toBeLessThan(5);
  });
});
