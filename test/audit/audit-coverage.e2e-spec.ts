import { AuditFolder } from '../../src/audit/folding/audit-folder';
import { Refusals } from '../../src/platform/audit/refusals';
import { type ApiResponse, ApiClient, orderInput } from '../harness/client';
import { type DocumentedOperation, operationsOf, type OpenApiDocument } from '../harness/openapi';
import { peopleTour } from '../harness/people-tour';
import { secretsSeen } from '../harness/suite-log';
import { startService, type TestService } from '../harness/service';
import { endpointInput } from '../harness/webhooks';
import { startWorker, type TestWorker } from '../harness/worker';

/** Operations that change something, or may, and leave no entry. */
const WITHOUT_ENTRY: Readonly<Record<string, string>> = {
  'POST /api/v1/auth/refresh': 'continues a session; a reuse is an entry',
  'POST /api/v1/auth/step-up/options': 'reads',
  'POST /api/v1/auth/invitations/preview': 'reads',
  'POST /api/v1/auth/verify-email/resend': 'sends a mail to whatever address, and changes no account',
  'POST /api/v1/auth/password/forgot': 'sends a mail to whatever address, and changes no account',
  'POST /api/v1/auth/totp': 'offers a factor; the confirmed one is an entry',
  'POST /api/v1/auth/me/restore': 'the person has no tenant by then',
  'POST /api/v1/orders': 'the history of the order has it',
  'POST /api/v1/orders/batch': 'the history of the orders has it',
  'PATCH /api/v1/orders/{id}': 'the history of the order has it',
  'POST /api/v1/webhooks/events': 'the list of events has it',
  'POST /api/v1/webhooks/endpoints/{id}/test': 'the list of deliveries has it',
  'POST /api/v1/webhooks/endpoints/{id}/recover': 'the list of deliveries has it',
  'POST /api/v1/webhooks/deliveries/{id}/retry': 'the list of deliveries has it',
  'PUT /api/v1/webhooks/event-types/{name}': 'the version of the type has it',
  'DELETE /api/v1/webhooks/event-types/{name}': 'the catalogue has it',
};

/** Counts, for each call of an operation that changes something, the entries that it leaves. */
class Counting extends ApiClient {
  constructor(
    private readonly plain: ApiClient,
    private readonly count: () => Promise<number>,
    private readonly note: (method: string, path: string, entries: number) => void,
  ) {
    super(plain.url, plain.session);
  }

  override async request(...call: Parameters<ApiClient['request']>): Promise<ApiResponse> {
    const [method, path] = call;
    if (method === 'GET') return this.plain.request(...call);
    const before = await this.count();
    const response = await this.plain.request(...call);
    if (response.status < 300) this.note(method, path, (await this.count()) - before);
    return response;
  }
}

describe('the audit log covers', () => {
  let service: TestService;
  let verified: TestService;
  let worker: TestWorker;
  let changing: DocumentedOperation[];
  const entries = new Map<string, number[]>();

  beforeAll(async () => {
    service = await startService({ env: { REGISTRATION: 'open', MAIL_DIRECTORY: '/nowhere' } });
    verified = await startService({
      database: service.database,
      env: { REGISTRATION: 'verified', MAIL_DIRECTORY: '/nowhere' },
    });
    worker = await startWorker(service.database);
    const document = (await service.client.get('/openapi.json')).body as OpenApiDocument;
    changing = operationsOf(document).filter(({ method }) => method !== 'GET');
  });
  afterAll(async () => {
    await worker.stop();
    await verified.stop();
    await service.stop();
  });

  const count = async (): Promise<number> =>
    (await service.database.sql<{ count: number }>('select count(*)::int as count from audit_log'))[0]?.count ?? 0;
  const note = (method: string, path: string, found: number): void => {
    const url = `/api/v1${path.split('?', 1)[0]}`;
    const operation = changing.find(
      (one) => one.method === method && new RegExp(`^${one.path.replace(/\{\w+\}/g, '[^/]+')}$`).test(url),
    );
    const name = operation?.name ?? `${method} ${path}`;
    entries.set(name, [...(entries.get(name) ?? []), found]);
  };
  const wrap = (client: ApiClient): ApiClient => new Counting(client, count, note);

  it('people, roles, keys and the tenant', async () => {
    const folder = worker.app.get(AuditFolder, { strict: false });
    await peopleTour({ service, verified, wrap, fold: async (id) => void (await folder.fold(id)) });
  });

  it('endpoints and their secrets, and statuses of orders', async () => {
    const tenant = wrap(await service.tenant());
    const endpoint = await tenant.post('/webhooks/endpoints', endpointInput());
    const path = `/webhooks/endpoints/${endpoint.body.id}`;
    expect((await tenant.patch(path, { description: 'd' })).status).toBe(200);
    expect((await tenant.post(`${path}/rotate-secret`, {})).status).toBe(200);
    expect((await tenant.delete(path)).status).toBe(204);
    const order = await tenant.post('/orders', orderInput());
    expect((await tenant.patch(`/orders/${order.body.id}/status`, { status: 'confirmed' })).status).toBe(200);
  });

  it('no secret, token or code: neither the log nor the events hold one', async () => {
    const secrets = secretsSeen();
    expect(secrets.length).toBeGreaterThan(60);
    await service.app.get(Refusals).flush();
    await verified.app.get(Refusals).flush();
    for (const table of ['audit_log', 'audit_personal', 'audit_refusals', 'events', 'mail_outbox']) {
      const rows = await service.database.sql<{ row: string }>(`select t::text as row from ${table} t`);
      const text = rows.map(({ row }) => row).join('\n');
      expect([table, text.length > 500]).toEqual([table, true]);
      expect([table, secrets.filter((secret) => text.includes(secret))]).toEqual([table, []]);
    }
    // Binary values are shown as hexadecimal digits above.
    const canonical = await service.database.sql<{ text: string }>(
      `select encode(canonical, 'escape') as text from audit_log`,
    );
    const bytes = canonical.map(({ text }) => text).join('\n');
    expect(secrets.filter((secret) => bytes.includes(secret))).toEqual([]);
  });

  it('each operation that changes something, or the reason why not', () => {
    const unread = changing.filter(({ name }) => !(name in WITHOUT_ENTRY) && !entries.has(name));
    expect(unread.map(({ name }) => name)).toEqual([]);
    // An action without a tenant, such as a sign-in to none, is in no tenant's log.
    const silent = [...entries].filter(([name, counts]) => !(name in WITHOUT_ENTRY) && counts.every((one) => one < 1));
    expect(silent).toEqual([]);
    const needless = Object.keys(WITHOUT_ENTRY).filter(
      (name) => !changing.some((one) => one.name === name) || entries.get(name)?.every((one) => one > 0),
    );
    expect(needless).toEqual([]);
  });
});
