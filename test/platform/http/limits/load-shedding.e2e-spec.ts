import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { TenantDatabase } from '../../../../src/platform/database/tenant-database';
import { type ApiResponse, type ApiClient, orderInput } from '../../../harness/client';
import { createTestDatabase, type TestDatabase } from '../../../harness/databases';
import { expectProblem } from '../../../harness/problems';
import { startService, type TestService } from '../../../harness/service';
import { TcpProxy } from '../../../harness/tcp-proxy';
import { until } from '../../../harness/until';

/** Of two connections, 128 each. */
const ROOM_FOR_READS = 256;
/** So many that at least one gets each of the three pauses: all but three times in ten million. */
const MANY = 40;

/** Reads only this metric: a scrape of all waits for dependencies, longer than a request waits. */
async function metric(service: TestService, name: string, labels: Record<string, string> = {}): Promise<number> {
  const values = (await service.metrics.registry.getSingleMetric(name)?.get())?.values ?? [];
  const wanted = Object.entries(labels);
  const found = values.find((one) => wanted.every(([label, value]) => one.labels[label] === value));
  return found?.value ?? NaN;
}

const shedOf = (service: TestService, reason: string) => metric(service, 'http_requests_shed_total', { reason });
const heldBy = (service: TestService) => metric(service, 'http_requests_queued');

/** Keeps the event loop from everything else, for so long at a time. */
function occupy(milliseconds: number): () => void {
  const timer = setInterval(() => {
    for (const end = performance.now() + milliseconds; performance.now() < end;);
  }, 1);
  return () => clearInterval(timer);
}

/** Not counted at first: the service gets used to a load. */
const WARM_UP_MS = 1_000;

/** This number of callers, each of which sends again after a response; returns the rate of served requests. */
async function servedByClosedLoop(tenant: ApiClient, callers: number, milliseconds: number): Promise<number> {
  const began = performance.now();
  let served = 0;
  const caller = async (): Promise<void> => {
    for (let elapsed = 0; elapsed < milliseconds;) {
      const { status } = await tenant.post('/orders', orderInput());
      elapsed = performance.now() - began;
      // Responses after the end would raise the peak.
      if (status === 201 && elapsed > WARM_UP_MS && elapsed <= milliseconds) served++;
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return (served * 1_000) / (milliseconds - WARM_UP_MS);
}

/** Independent callers at this rate; counted after the service has warmed up. */
async function servedByOpenLoop(tenant: ApiClient, rate: number, milliseconds: number) {
  const began = performance.now();
  const latencies: number[] = [];
  const calls: Promise<void>[] = [];
  let refused = 0;
  const call = async (): Promise<void> => {
    const sentAt = performance.now();
    const { status } = await tenant.post('/orders', orderInput());
    const now = performance.now();
    if (status === 503) refused++;
    else if (status === 201 && now - began > WARM_UP_MS && now - began <= milliseconds) latencies.push(now - sentAt);
  };
  for (let sent = 0; performance.now() - began < milliseconds; await delay(5)) {
    for (const due = ((performance.now() - began) * rate) / 1_000; sent < due; sent++) calls.push(call());
  }
  await Promise.all(calls);
  latencies.sort((a, b) => a - b);
  return {
    perSecond: (latencies.length * 1_000) / (milliseconds - WARM_UP_MS),
    /** The ninth decile of the latencies, milliseconds. */
    slowest: latencies[Math.floor(latencies.length * 0.9)] ?? Infinity,
    refused,
  };
}

describe('load shedding', () => {
  describe('by the event loop', () => {
    let service: TestService;
    let tenant: ApiClient;

    beforeAll(async () => {
      service = await startService({
        env: { SHED_EVENT_LOOP_LAG: '40ms', ALLOWED_ORIGINS: 'https://app.example.com' },
      });
      tenant = await service.tenant();
    });
    afterAll(() => service.stop());

    const shed = (response: ApiResponse): boolean => response.status === 503;

    it('turns a share of requests away while it is late, and none of health’s', async () => {
      const release = occupy(120);
      try {
        const headers = { 'x-request-id': 'shed-me', origin: 'https://app.example.com' };
        const responses: ApiResponse[] = [];
        await until('some are turned away', async () => {
          const [asked, health] = await Promise.all([
            Promise.all(Array.from({ length: 20 }, () => tenant.get('/orders', headers))),
            Promise.all(['/health', '/health/live', '/health/ready'].map((path) => service.client.get(path))),
          ]);
          expect(health.map(({ status }) => status)).toEqual([200, 200, 200]);
          responses.push(...asked);
          return responses.some(shed) && responses.some(({ status }) => status === 200);
        });
        expect(new Set(responses.map(({ status }) => status))).toEqual(new Set([200, 503]));
        const refused = responses.find(shed) as ApiResponse;
        expectProblem(refused, 'unavailable');
        expect(refused.body.instance).toBe('/api/v1/orders');
        expect(refused.headers.get('x-request-id')).toBe('shed-me');
        expect(refused.headers.get('retry-after')).toMatch(/^[123]$/);
        expect(refused.headers.get('access-control-allow-origin')).toBe('https://app.example.com');
        expect(refused.headers.get('x-content-type-options')).toBe('nosniff');
        expect(await shedOf(service, 'event_loop')).toBe(responses.filter(shed).length);
        expect(await shedOf(service, 'pool')).toBe(0);
      } finally {
        release();
      }
    });

    it('refuses the tenant with most requests in flight, and hardly the others', async () => {
      const other = await service.tenant();
      const refused = { greedy: 0, other: 0 };
      let asked = 0;
      const release = occupy(120);
      try {
        await until(
          'enough of the greedy tenant to be turned away',
          async () => {
            const greedy = Array.from({ length: 20 }, () => tenant.get('/orders'));
            const [responses, response] = await Promise.all([Promise.all(greedy), other.get('/orders')]);
            refused.greedy += responses.filter(shed).length;
            if (shed(response)) refused.other++;
            asked++;
            // Enough rounds for a ratio, also where a busy machine refuses more of each.
            return refused.greedy >= 100 && asked >= 8;
          },
          60_000,
        );
      } finally {
        release();
      }
      // One after the other, the victim would meet the same share: about half.
      expect(refused.other / asked).toBeLessThan(0.15);
      expect(refused.other / asked).toBeLessThan(refused.greedy / (20 * asked) / 2);
    });

    it('reads neither body nor credential of refused requests', async () => {
      const release = occupy(120);
      try {
        const refused = await until('one is turned away', async () => {
          const responses = await Promise.all(
            Array.from({ length: 10 }, () => service.client.request('POST', '/orders', { body: '{ no JSON' })),
          );
          return responses.find(shed);
        });
        expectProblem(refused, 'unavailable');
      } finally {
        release();
      }
    });

    it('lets everything in again once the loop is free', async () => {
      // One after the other: a hundred at once keep the loop of a busy machine late by themselves.
      await until(
        'a hundred in a row are let in',
        async () => {
          for (let i = 0; i < 100; i++) if (shed(await tenant.get('/orders'))) return false;
          return true;
        },
        60_000,
      );
    });

    it('logs the number of refused requests', () => {
      const line = service.logLines
        .map((text) => JSON.parse(text) as Record<string, unknown>)
        .find(({ msg }) => msg === 'overload: requests are refused');
      expect(line?.event_loop_lag_ms).toBeGreaterThan(40);
    });
  });

  describe('by the wait for the database', () => {
    let service: TestService;
    let tenant: ApiClient;
    let order: { id: string };
    let owner: Client;

    beforeAll(async () => {
      service = await startService({ env: { SHED_POOL_WAIT: '250ms' } });
      tenant = await service.tenant();
      order = await tenant.createOrder();
      owner = new Client({ connectionString: service.database.ownerUrl });
      await owner.connect();
    });
    afterAll(async () => {
      await owner.end();
      await service.stop();
    });

    /** Locks the tables of orders, so that statements queue. */
    async function whileHeld(mode: string, work: () => Promise<void>): Promise<void> {
      await owner.query(`begin; lock table orders in ${mode} mode`);
      try {
        await work();
      } finally {
        await owner.query('rollback');
      }
    }

    /** Repeats requests, and returns the first refusal. */
    async function firstRefused(ask: () => Promise<ApiResponse>): Promise<ApiResponse> {
      let refused: ApiResponse | undefined;
      return until('one is turned away', async () => {
        if (!refused) void ask().then((response) => (refused ??= response.status === 503 ? response : undefined));
        await delay(50);
        return refused;
      });
    }

    it('turns reads away while reads stand in line, and lets writes elsewhere and health in', async () => {
      let early: Promise<ApiResponse>[] = [];
      await whileHeld('access exclusive', async () => {
        early = Array.from({ length: 4 }, () => tenant.get(`/orders/${order.id}`));
        expectProblem(await firstRefused(() => tenant.get(`/orders/${order.id}`)), 'unavailable');
        expect(await shedOf(service, 'pool')).toBeGreaterThan(0);
        expect((await service.client.get('/health')).status).toBe(200);
        const signIn = { email: 'nobody@example.com', password: 'no password of anybody' };
        expect((await service.client.post('/auth/login', signIn)).status).toBe(401);
      });
      // Admitted requests get a response, however late.
      expect((await Promise.all(early)).map(({ status }) => status)).toEqual([200, 200, 200, 200]);
      await until('reads are let in', async () => (await tenant.get(`/orders/${order.id}`)).status === 200);
    });

    it('serves at twice what the database can do as much as at its peak, and soon', async () => {
      // The limit is time that PostgreSQL sleeps, so long that the few requests cost little: the load of this machine
      // has little effect.
      await owner.query(`
        create function slowly() returns trigger language plpgsql as 'begin perform pg_sleep(0.3); return new; end';
        create trigger slowly before insert on orders for each row execute function slowly()`);
      try {
        const peak = await servedByClosedLoop(tenant, 24, 4_000);
        // Six connections take no more than this, however late the clients of the loop were.
        const most = Math.max(peak, 6 / 0.3);
        const { perSecond, slowest, refused } = await servedByOpenLoop(tenant, 2 * most, 5_000);
        expect(refused).toBeGreaterThan(0);
        expect(perSecond / peak).toBeGreaterThan(0.8);
        // A backlog of five seconds at twice the load would keep the last of them waiting for as long.
        expect(slowest).toBeLessThan(4_000);
      } finally {
        await owner.query('drop trigger slowly on orders; drop function slowly');
      }
    });

    it('serves a burst of as many requests as a tenant is allowed, though they wait longer than the limit', async () => {
      const other = await service.tenant();
      await owner.query(`
        create function slowly() returns trigger language plpgsql as 'begin perform pg_sleep(0.008); return new; end';
        create trigger slowly before insert on orders for each row execute function slowly()`);
      try {
        const statuses = await Promise.all(
          Array.from({ length: 500 }, async () => (await other.post('/orders', orderInput())).status),
        );
        expect(new Set(statuses)).toEqual(new Set([201]));
      } finally {
        await owner.query('drop trigger slowly on orders; drop function slowly');
      }
    });

    it('turns writes away while writes stand in line, and lets reads in', async () => {
      await whileHeld('exclusive', async () => {
        // One for each of the six connections that writes share, and some behind them.
        const early = Array.from({ length: 12 }, () => tenant.post('/orders', orderInput()));
        expectProblem(await firstRefused(() => tenant.post('/orders', orderInput())), 'unavailable');
        expect((await tenant.get(`/orders/${order.id}`)).status).toBe(200);
        void Promise.allSettled(early);
      });
      await until('writes are let in', async () => (await tenant.post('/orders', orderInput())).status === 201);
    });
  });

  describe('by the capacity of the connections', () => {
    let database: TestDatabase;
    let proxy: TcpProxy;
    let service: TestService;
    let stopped: Promise<void> | undefined;

    beforeAll(async () => {
      database = await createTestDatabase();
      proxy = await TcpProxy.start(Number(new URL(database.serviceUrl).port));
      // However long statements wait, no request is refused for it.
      const env = { SHED_POOL_WAIT: '1m', DB_STATEMENT_TIMEOUT: '30s' };
      service = await startService({ env, database: { ...database, serviceUrl: proxy.through(database.serviceUrl) } });
    });
    afterAll(async () => {
      await (stopped ?? service.stop());
      await proxy.refuse();
      await database.drop();
    });

    /** Runs the work while there is no room for another read. */
    async function whileFull(tenant: ApiClient, work: () => Promise<void>): Promise<void> {
      const database = service.app.get(TenantDatabase);
      const statement = { name: 'one', text: 'select 1 as one', values: [] };
      proxy.hang();
      const reads = Array.from({ length: ROOM_FOR_READS }, () =>
        database.query({ tenantId: tenant.tenantId }, statement),
      );
      try {
        await work();
      } finally {
        await proxy.pass();
        await Promise.allSettled(reads);
      }
      expect(new Set((await Promise.all(reads)).map(([row]) => row?.one))).toEqual(new Set([1]));
    }

    it('queues excess requests for a second, and refuses them before they reach a route', async () => {
      const tenant = await service.tenant();
      await whileFull(tenant, async () => {
        const waited: number[] = [];
        const ask = async (): Promise<ApiResponse> => {
          const began = performance.now();
          const response = await tenant.get('/orders');
          waited.push(performance.now() - began);
          return response;
        };
        const refused = await Promise.all(Array.from({ length: MANY }, ask));
        expect(Math.min(...waited)).toBeGreaterThanOrEqual(1_000);
        for (const reply of refused) expectProblem(reply, 'unavailable');
        expect(new Set(refused.map(({ headers }) => headers.get('retry-after')))).toEqual(new Set(['1', '2', '3']));
        expect(await heldBy(service)).toBe(0);
        expect(await shedOf(service, 'pool')).toBe(MANY);
      });
      expect(service.logLines.filter((line) => line.includes('request failed'))).toEqual([]);
      expect((await tenant.get('/orders')).status).toBe(200);
    });

    it('admits it as soon as there is capacity, and counts the time', async () => {
      const tenant = await service.tenant();
      const held: Promise<ApiResponse>[] = [];
      await whileFull(tenant, async () => {
        held.push(tenant.get('/orders', { 'x-request-id': 'was-held' }));
        await until('it is held', async () => (await heldBy(service)) === 1);
        await delay(200);
      });
      expect((await held[0])?.status).toBe(200);
      const line = await until('its line', () => service.logLines.find((text) => text.includes('was-held')));
      expect((JSON.parse(line) as { duration_ms: number }).duration_ms).toBeGreaterThanOrEqual(200);
    });

    it('has capacity for further statements of a request: a session that must be read', async () => {
      const tenant = await service.tenant();
      const written: Promise<ApiResponse>[] = [];
      await whileFull(tenant, async () => {
        written.push(tenant.post('/orders', orderInput()));
        expect(await Promise.race([written[0], delay(100)])).toBeUndefined();
        expect(await heldBy(service)).toBe(0);
      });
      expect((await written[0])?.status).toBe(201);
    });

    it('forgets whose caller left', async () => {
      const tenant = await service.tenant();
      const begun = await shedOf(service, 'pool');
      await whileFull(tenant, async () => {
        const caller = new AbortController();
        const headers = { authorization: `Bearer ${tenant.session?.access_token}` };
        const left = fetch(`${service.url}/api/v1/orders`, { headers, signal: caller.signal }).catch(() => undefined);
        await until('it is held', async () => (await heldBy(service)) === 1);
        caller.abort();
        await left;
        await until('it is forgotten', async () => (await heldBy(service)) === 0);
      });
      expect(await shedOf(service, 'pool')).toBe(begun);
    });

    it('responds to queued requests when it stops', async () => {
      const tenant = await service.tenant();
      const held: Promise<ApiResponse>[] = [];
      await whileFull(tenant, async () => {
        held.push(tenant.get('/orders'));
        await until('it is held', async () => (await heldBy(service)) === 1);
        stopped = service.stop();
        await delay(100);
      });
      expect((await held[0])?.status).toBe(200);
      await stopped;
    });
  });

  it('is off where both limits are 0', async () => {
    const service = await startService({ env: { SHED_EVENT_LOOP_LAG: '0', SHED_POOL_WAIT: '0' } });
    const release = occupy(60);
    try {
      const responses = await Promise.all(Array.from({ length: 20 }, () => service.client.get('/orders')));
      expect(new Set(responses.map(({ status }) => status))).toEqual(new Set([401]));
    } finally {
      release();
      await service.stop();
    }
  });
});
