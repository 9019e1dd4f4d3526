import { randomUUID } from 'node:crypto';
import type { Server } from 'node:http';
import { ApiClient, type ApiResponse, orderInput } from '../../../harness/client';
import { expectGolden } from '../../../harness/golden';
import { expectProblem, type ProblemSlug } from '../../../harness/problems';
import { rawRequest } from '../../../harness/raw-http';
import { startService, type TestService } from '../../../harness/service';
import { until } from '../../../harness/until';

/** Headers that a client uses, in addition to the document. */
const HEADERS = [
  'content-type',
  'www-authenticate',
  'allow',
  'retry-after',
  'etag',
  'location',
  'idempotency-replayed',
  'content-range',
  'accept',
];

describe('problems', () => {
  let service: TestService;
  let tenant: ApiClient;
  let stranger: ApiClient;

  beforeAll(async () => {
    service = await startService();
    [tenant, stranger] = await Promise.all([service.tenant(), service.tenant()]);
  });
  afterAll(() => service.stop());

  async function withTrigger<T>(body: string, work: () => Promise<T>): Promise<T> {
    await service.database.sql(`
      create or replace function problem_for_test() returns trigger language plpgsql as $$ begin ${body} end $$;
      create trigger problem_for_test before insert on order_items for each row execute function problem_for_test()`);
    try {
      return await work();
    } finally {
      await service.database.sql('drop trigger problem_for_test on order_items');
    }
  }

  const raw = async (head: string) => (await rawRequest(service.url, head)) as ApiResponse;

  /** Problems that another suite provokes, or that no route has yet. */
  type Elsewhere = 'sso_link_required' | 'second_factor_required' | 'second_factor_enrolment_required';
  const PROVOKED: Record<Exclude<ProblemSlug, Elsewhere>, () => Promise<ApiResponse>> = {
    token_invalid: () => service.client.post('/auth/email/undo', { token: 'x' }),
    insufficient_user_authentication: async () => {
      const stale = await service.tenant();
      await service.database.sql(`update sessions set auth_time = now() - interval '1 hour' where tenant_id = $1`, [
        stale.tenantId,
      ]);
      return stale.get('/auth/me/export');
    },
    registration_closed: async () => {
      const closed = await startService({ env: { REGISTRATION: 'closed' }, database: service.database });
      const input = { email: 'ada@example.com', password: 'a password for tests', tenant_name: 'T' };
      const response = await closed.client.post('/auth/register', input);
      await closed.stop();
      return response;
    },
    malformed_request: () => tenant.post('/orders', '{"items":['),
    invalid_cursor: () => tenant.get('/orders?cursor=tampered'),
    unauthorized: () => service.client.get('/orders'),
    forbidden: async () => {
      await service.database.sql(`update memberships set role = 'viewer' where tenant_id = $1`, [stranger.tenantId]);
      return until('the role has arrived', async () => {
        const response = await stranger.post('/orders', orderInput());
        return response.status !== 201 && response;
      });
    },
    not_found: () => tenant.get('/orders/0198c0de-7a11-7000-8000-000000000001'),
    method_not_allowed: () => tenant.request('DELETE', '/orders'),
    not_acceptable: () => tenant.get('/orders', { accept: 'text/html' }),
    request_timeout: async () => {
      const server = service.app.getHttpServer() as Server;
      const { requestTimeout, headersTimeout } = server;
      Object.assign(server, { requestTimeout: 300, headersTimeout: 200 });
      try {
        return await raw(
          `POST /api/v1/orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n` +
            `Authorization: Bearer ${tenant.session?.access_token}`,
        );
      } finally {
        Object.assign(server, { requestTimeout, headersTimeout });
      }
    },
    conflict: () =>
      service.client.post('/auth/register', {
        email: tenant.session?.user.email,
        password: 'a password for tests',
        tenant_name: 'T',
      }),
    idempotency_in_progress: async () => {
      const key = { 'idempotency-key': 'golden, running' };
      await service.database.sql('select pg_advisory_lock(4713)');
      return withTrigger('perform pg_advisory_xact_lock(4713); return new;', async () => {
        const running = tenant.post('/orders', orderInput(), key);
        await until('the first call waits', async () => {
          const [row] = await service.database.sql(
            `select count(*)::int as n from pg_locks where locktype = 'advisory' and not granted
                and database = (select oid from pg_database where datname = current_database())`,
          );
          return row?.n === 1;
        });
        const response = await tenant.post('/orders', orderInput(), key);
        await service.database.sql('select pg_advisory_unlock(4713)');
        expect((await running).status).toBe(201);
        return response;
      });
    },
    version_conflict: async () => {
      const { id } = await tenant.createOrder();
      return tenant.patch(`/orders/${id}`, { notes: 'x' }, { 'if-match': '"7"' });
    },
    payload_too_large: () => tenant.post('/orders', ' '.repeat(1024 * 1024 + 1)),
    unsupported_media_type: () =>
      tenant.request('POST', '/orders', {
        body: 'a=b',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
      }),
    range_not_satisfiable: () => service.client.get('/docs/swagger-ui.css', { range: 'bytes=99999999-' }),
    validation_error: () =>
      tenant.post('/orders', {
        customer_id: 'none',
        items: [{ product_id: 'p', product_name: 'n', quantity: 0, unit_price: '1.005' }],
        currency: 'USD',
        colour: 'red',
      }),
    business_rule_violation: async () => {
      const { id } = await tenant.createOrder();
      return tenant.patch(`/orders/${id}/status`, { status: 'completed' });
    },
    idempotency_key_reused: async () => {
      const key = { 'idempotency-key': 'golden, reused' };
      await tenant.post('/orders', orderInput(), key);
      return tenant.post('/orders', orderInput(), key);
    },
    rate_limited: async () => {
      const env = { RATE_LIMIT_TENANT_BURST: '1', RATE_LIMIT_TENANT_PER_SECOND: '1' };
      const strict = await startService({ database: service.database, env });
      try {
        const hurried = new ApiClient(strict.url, tenant.session);
        return await until('the limit is reached', async () => {
          const response = await hurried.get('/orders');
          return response.status !== 200 && response;
        });
      } finally {
        await strict.stop();
      }
    },
    headers_too_large: () => raw(`GET /health HTTP/1.1\r\nHost: x\r\nX-A: ${'a'.repeat(20_000)}`),
    not_implemented: () => raw('POST /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked'),
    http_version_not_supported: () => raw('GET /health HTTP/2.0\r\nHost: x'),
    internal_error: () =>
      withTrigger(`raise 'inside' using errcode = 'XX000';`, () => tenant.post('/orders', orderInput())),
    unavailable: () =>
      withTrigger(`raise 'inside' using errcode = '40001';`, () => tenant.post('/orders', orderInput())),
  };

  it('reads as the golden file has it, one of each slug', async () => {
    const seen: Record<string, unknown> = {};
    for (const slug of Object.keys(PROVOKED) as (keyof typeof PROVOKED)[]) {
      const response = await PROVOKED[slug]();
      const problem = expectProblem(response, slug);
      const headers = HEADERS.flatMap((name) => {
        const value = response.headers.get(name);
        return value === null ? [] : [[name, value]];
      });
      seen[slug] = { headers: Object.fromEntries(headers), body: { ...problem, request_id: 'REQUEST' } };
    }
    const text = JSON.stringify(seen, null, 2).replace(/(?<=orders\/)[0-9a-f-]{36}(?=["/])/g, (id) =>
      id === '0198c0de-7a11-7000-8000-000000000001' ? id : 'ORDER',
    );
    expectGolden('problems.json', `${text}\n`);
  });

  it('reveals no internals in any of them', async () => {
    const requestId = `inside-${randomUUID()}`;
    const response = await withTrigger(`raise 'inside % %', tg_table_name, 'select';`, () =>
      tenant.post('/orders', orderInput(), { 'x-request-id': requestId }),
    );
    expectProblem(response, 'internal_error');
    expect(response.text).not.toMatch(/inside \w|order_items|select|trigger|at \w+ \(|node_modules|P0001/);
    const line = service.logLines.find(
      (candidate) => candidate.includes(requestId) && candidate.includes('request failed'),
    );
    expect(JSON.parse(line as string)).toMatchObject({
      level: 50,
      request_id: requestId,
      internal: expect.stringContaining('inside'),
    });
    // The log has the error, but not the tenant's input.
    expect(service.logLines.join('')).not.toContain('Widget');
  });
});
