import { randomBytes, randomUUID } from 'node:crypto';
import { loadConfig } from '../../../src/platform/config/config';
import { createLogger } from '../../../src/platform/observability/logger';
import type { ApiResponse, ApiClient } from '../../harness/client';
import { SERVICE_PASSWORD } from '../../harness/databases';
import { type Receiver, startReceiver } from '../../harness/receiver';
import { JWT_SECRET, newEmail, startService, type TestService } from '../../harness/service';
import { until } from '../../harness/until';
import { makeEndpoint } from '../../harness/webhooks';
import { startWorker, type TestWorker } from '../../harness/worker';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
/** The names whose values the log masks. */
const NAMES = [
  'password',
  'token',
  'access_token',
  'refresh_token',
  'api_key',
  'secret',
  'signature',
  'authorization',
  'cookie',
];

/** A unique text, so that finding it proves that it was written. */
const marked = (what: string): string => `${what}-${randomBytes(12).toString('hex')}`;

describe('the log', () => {
  const lines: string[] = [];
  const direct: string[] = [];
  const encryptionKey = randomBytes(32).toString('base64');
  let service: TestService;
  let worker: TestWorker;
  let receiver: Receiver;
  let unspy: () => void;

  beforeAll(async () => {
    unspy = spyOnOutput(direct);
    const logger = createLogger(loadConfig({ LOG_LEVEL: 'trace' }), { write: (line: string) => void lines.push(line) });
    const env = { WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8', ENCRYPTION_KEYS: `k1:${encryptionKey}`, LOG_LEVEL: 'trace' };
    service = await startService({ env, logger });
    worker = await startWorker(service.database, env, logger);
    receiver = await startReceiver();
  });

  afterAll(async () => {
    await worker.stop();
    await service.stop();
    await receiver.stop();
    unspy();
  });

  const logged = (): Record<string, unknown>[] => lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  const requestLine = (id: string) =>
    until('the line of the request', () => logged().find((line) => line.request_id === id && line.msg === 'request'));

  describe('of a request', () => {
    it('has its id, trace, tenant, actor, route, status and duration', async () => {
      const tenant = await service.tenant();
      const id = randomUUID();
      const traceparent = `00-${TRACE}-00f067aa0ba902b7-01`;
      const order = await tenant.createOrder();
      await tenant.get(`/orders/${order.id}?cursor=ignored`, { 'x-request-id': id, traceparent });
      const line = await requestLine(id);
      expect(line).toEqual({
        level: 'info',
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        msg: 'request',
        log_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        request_id: id,
        trace_id: TRACE,
        method: 'GET',
        route: '/api/v1/orders/:id',
        status: expect.any(Number),
        duration_ms: expect.any(Number),
        tenant_id: tenant.tenantId,
        actor: `user:${tenant.session?.user.id}`,
      });
      expect(line.duration_ms).toBeGreaterThan(0);
    });

    it('has an id of our own beside one that a caller uses for several', async () => {
      const id = randomUUID();
      for (let i = 0; i < 2; i++) await service.client.withToken('nonsense').get('/orders', { 'x-request-id': id });
      const all = await until('both', () => {
        const found = logged().filter((line) => line.request_id === id);
        return found.length === 4 && found;
      });
      const own = all.map((line) => line.log_id as string);
      // Two lines of each request.
      expect(own.map((one) => own.filter((other) => other === one).length)).toEqual([2, 2, 2, 2]);
    });

    it('that failed has the trace on every line', async () => {
      const id = randomUUID();
      const traceparent = `00-${TRACE}-00f067aa0ba902b7-00`;
      await service.client.withToken('nonsense').get('/orders', { 'x-request-id': id, traceparent });
      await requestLine(id);
      const all = logged().filter((line) => line.request_id === id);
      expect(all.map((line) => [line.msg, line.trace_id])).toEqual([
        ['request refused', TRACE],
        ['request', TRACE],
      ]);
    });

    it('has no trace where the header is none', async () => {
      for (const traceparent of ['nonsense', `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`]) {
        const id = randomUUID();
        await service.client.get('/health', { 'x-request-id': id, traceparent });
        expect(await requestLine(id)).not.toHaveProperty('trace_id');
      }
    });
  });

  it('holds nothing that was confided to the service, at its most talkative', async () => {
    const secrets = new Map<string, string>([
      ['JWT_SECRET', JWT_SECRET],
      ['the encryption key', encryptionKey],
      ["the database's password", SERVICE_PASSWORD],
    ]);
    const note = (what: string, secret: string | undefined | null): void => {
      expect([what, (secret ?? '').length >= 8]).toEqual([what, true]);
      secrets.set(what, secret as string);
    };
    receiver.respond = (response, { path }) => {
      // Once with success, once with a truncated response, once with a refusal.
      if (path === '/broken') response.writeHead(200, { 'content-length': '999' }).write(answered);
      else response.writeHead(path === '/refusing' ? 500 : 200).end(answered);
      if (path === '/broken') setImmediate(() => response.destroy());
    };
    const answered = marked('answer');
    note("the receiver's answer", answered);

    const [email, password, wrong] = [newEmail(), marked('password'), marked('wrong password')];
    note('the e-mail address', email);
    note('the password', password);
    note('the wrong password', wrong);
    const registered = await service.client.post('/auth/register', { email, password, tenant_name: 'Confiding' });
    const signedIn = await service.client.post('/auth/login', { email, password });
    await service.client.post('/auth/login', { email, password: wrong });
    await service.client.post('/auth/login', { email, password, [marked('field')]: 1 });
    await service.client.post('/auth/login', `{"email": "${email}", "password": "${password}", nonsense`);
    const refreshed = await service.client.post('/auth/refresh', { refresh_token: signedIn.body.refresh_token });
    for (const [what, reply] of Object.entries({ registered, signedIn, refreshed })) {
      note(`the access token, ${what}`, reply.body.access_token as string);
      note(`the refresh token, ${what}`, reply.body.refresh_token as string);
    }
    await service.client.post('/auth/refresh', { refresh_token: `${refreshed.body.refresh_token}x` });
    await service.client.withToken(`${signedIn.body.access_token}x`).get('/orders');
    await service.client.request('GET', `/orders?access_token=${refreshed.body.access_token}`);
    await service.client.request('GET', '/auth/me', { headers: { authorization: `Basic ${btoa(password)}` } });
    note('Basic credentials', btoa(password));
    await service.client.request('GET', '/auth/me', { headers: { cookie: `session=${password}` } });

    const tenant = service.client.withToken(refreshed.body.access_token as string);
    await callEverything(tenant, note, receiver.url);
    await failInside(service, tenant, note);

    const deliveries = await until('every endpoint was sent to', () => {
      const paths = new Set(receiver.received.map(({ path }) => path));
      return ['/working', '/refusing', '/broken'].every((path) => paths.has(path)) && receiver.received;
    });
    for (const { headers, body } of deliveries.slice(0, 3)) {
      note(`a signature ${String(headers['webhook-id'])}`, headers['webhook-signature'] as string);
      note(`a body ${String(headers['webhook-id'])}`, body);
    }
    await until('a broken delivery is logged', () => logged().some((line) => line.msg === 'a delivery failed'));
    await service.client.post('/auth/logout', { refresh_token: refreshed.body.refresh_token });

    // The test would prove nothing of lines that were not written.
    const messages = new Set(logged().map((line) => line.msg));
    for (const msg of ['request', 'request failed', 'request refused']) expect(messages).toContain(msg);
    expect(new Set(logged().map((line) => line.level))).toEqual(new Set(['debug', 'info', 'warn', 'error']));
    const everything = [...lines, ...direct].join('\n');
    const found = [...secrets].filter(([, secret]) => appearsIn(everything, secret)).map(([what]) => what);
    expect(found).toEqual([]);
  });

  it('has a second wall: names of secrets are blotted out, wherever they stand', () => {
    const written: string[] = [];
    const logger = createLogger(loadConfig({}), { write: (line: string) => void written.push(line) });
    for (const name of NAMES) {
      logger.info({ [name]: 'hidden', inner: { [name]: 'hidden' } }, name);
    }
    logger.error({ err: Object.assign(new Error('why'), { parameters: ['hidden'], query: 'hidden' }) }, 'an error');
    expect(written).toHaveLength(NAMES.length + 1);
    expect(written.join('')).not.toContain('hidden');
  });
});

/** As text, as JSON writes it, and as base64 of it. */
function appearsIn(text: string, secret: string): boolean {
  return [secret, JSON.stringify(secret).slice(1, -1), Buffer.from(secret).toString('base64').replace(/=+$/, '')].some(
    (form) => text.includes(form),
  );
}

/** Orders and endpoints, with something in every field that takes a text. */
async function callEverything(
  tenant: ApiClient,
  note: (what: string, secret: string) => void,
  receiverUrl: string,
): Promise<void> {
  const [notes, product, value, header, key] = ['notes', 'product', 'value', 'header', 'key'].map(marked) as [
    string,
    string,
    string,
    string,
    string,
  ];
  for (const [what, secret] of Object.entries({ notes, product, value, header, key })) note(what, secret);
  const input = {
    customer_id: randomUUID(),
    currency: 'USD',
    notes,
    metadata: { why: value },
    items: [{ product_id: 'p', product_name: product, quantity: 1, unit_price: '1.00' }],
  };
  const endpoints: ApiResponse['body'][] = [];
  for (const path of ['/working', '/refusing', '/broken']) {
    endpoints.push(await makeEndpoint(tenant, { url: `${receiverUrl}${path}`, headers: { 'x-custom': header } }));
  }
  for (const [index, endpoint] of endpoints.entries()) {
    const shown = await tenant.get(`/webhooks/endpoints/${endpoint.id}/secret`);
    note(`the secret of endpoint ${index}`, shown.body.secret as string);
    note(`the secret of endpoint ${index} without its prefix`, (shown.body.secret as string).slice('whsec_'.length));
  }
  const rotated = await tenant.post(`/webhooks/endpoints/${endpoints[0].id}/rotate-secret`, undefined, {
    'idempotency-key': key,
  });
  note('the rotated secret', rotated.body.secret as string);
  const created = await tenant.post('/orders', input, { 'idempotency-key': randomUUID() });
  expect(created.status).toBe(201);
  await tenant.patch(`/orders/${created.body.id}`, { notes: `${notes} again` });
  await tenant.post('/orders', { ...input, currency: notes });
  await tenant.post('/orders', { ...input, [notes]: value });
  await tenant.post('/orders/batch', { orders: [input, { ...input, items: [] }] });
  await tenant.get(`/orders?status=${notes}`);
  await tenant.get(`/orders?cursor=${notes}`);
  await tenant.get('/orders/export?format=csv');
  await tenant.post('/webhooks/events', { type: 'mine.happened', data: { value } });
  await makeEndpoint(tenant, { url: `https://user:${header}@example.com/` }).catch(() => undefined);
}

/** Errors of PostgreSQL whose own texts quote the row. */
async function failInside(
  service: TestService,
  tenant: ApiClient,
  note: (what: string, secret: string) => void,
): Promise<void> {
  const notes = marked('refused inside');
  note('notes of an order that is refused inside', notes);
  const { database } = service;
  await database.sql(`alter table orders add constraint orders_refuse check (notes is null) not valid`);
  const failed = await tenant.post('/orders', {
    customer_id: randomUUID(),
    currency: 'USD',
    notes,
    items: [{ product_id: 'p', product_name: 'w', quantity: 1, unit_price: '1.00' }],
  });
  expect(failed.status).toBe(500);
  await database.sql('alter table orders drop constraint orders_refuse');
  await database.sql(
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
  );
  await until('it is back', async () => (await tenant.get('/orders')).status === 200);
}

/** Output outside the logger, too. */
function spyOnOutput(into: string[]): () => void {
  const spies = [process.stdout, process.stderr].map((stream) => {
    const write = stream.write.bind(stream);
    return jest.spyOn(stream, 'write').mockImplementation(((chunk: string | Uint8Array, ...rest: never[]) => {
      into.push(typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString());
      return write(chunk, ...rest);
    }) as never);
  });
  return () => spies.forEach((spy) => spy.mockRestore());
}
