import type { ApiClient } from '../../../harness/client';
import { type DocumentedOperation, operationsOf, type OpenApiDocument, follow } from '../../../harness/openapi';
import { startService, type TestService } from '../../../harness/service';

/** Fields that only the service, or another route, decides. */
const FIELDS = ['role', 'tenant_id', 'email_verified_at', 'permissions', 'managed_by'] as const;
const VALUES: Readonly<Record<(typeof FIELDS)[number], unknown>> = {
  role: 'owner',
  tenant_id: '0198c0de-7a11-7000-8000-0000000000ff',
  email_verified_at: '2026-01-31T12:00:00.000Z',
  permissions: ['orders:write'],
  managed_by: 'directory',
};
const ABSENT_ID = '0198c0de-7a11-7000-8000-0000000000fe';

type Json = Record<string, unknown>;

/** Every body of the document, with a field that is none of it: refused before anything is read or changed. */
describe('no body', () => {
  let service: TestService;
  let owner: ApiClient;
  let document: OpenApiDocument;
  let withBody: DocumentedOperation[];

  beforeAll(async () => {
    service = await startService({ env: { MAIL_DIRECTORY: '/nowhere', REGISTRATION: 'open' } });
    owner = await service.tenant();
    document = (await service.client.get('/openapi.json')).body as OpenApiDocument;
    withBody = operationsOf(document).filter(({ requestSchema }) => requestSchema !== undefined);
  });
  afterAll(() => service.stop());

  const call = (operation: DocumentedOperation, body: unknown) => {
    const path = operation.path
      .replace('/api/v1', '')
      .replace(/\{(id|user_id)\}/g, ABSENT_ID)
      .replace(/\{\w+\}/g, 'absent.type');
    return (operation.public ? service.client : owner).request(operation.method, path, { body });
  };

  /** The places in a body where an object has the fields that its schema lists and no others: the path of each. */
  function places(schema: Json, body: unknown, path: string[] = []): { path: string[]; known: string[] }[] {
    const followed = follow<Json>(document, schema as Json);
    if (Array.isArray(body)) {
      return body.length > 0 ? places(followed.items as Json, body[0], [...path, '0']) : [];
    }
    const properties = followed.properties as Record<string, Json> | undefined;
    if (!properties || typeof body !== 'object' || body === null) return [];
    return [
      { path, known: Object.keys(properties) },
      ...Object.entries(body).flatMap(([name, value]) =>
        properties[name] ? places(properties[name], value, [...path, name]) : [],
      ),
    ];
  }

  it('takes a role, a tenant, permissions or a proof that its route does not name, at any depth', async () => {
    let tried = 0;
    for (const operation of withBody) {
      const open = places(operation.requestSchema as Json, operation.body);
      expect([operation.name, open.length]).not.toEqual([operation.name, 0]);
      for (const { path, known } of open) {
        for (const field of FIELDS.filter((name) => !known.includes(name))) {
          const body = structuredClone(operation.body) as Json;
          const target = path.reduce<Json>((at, step) => at[step] as Json, body);
          target[field] = VALUES[field];
          const response = await call(operation, body);
          const name = [...path, field].join('.');
          const faults = ((response.body?.errors ?? []) as { field: string }[]).map((fault) => fault.field);
          expect([operation.name, name, response.status, faults]).toEqual([
            operation.name,
            name,
            422,
            expect.arrayContaining([name]),
          ]);
          tried++;
        }
      }
    }
    expect(tried).toBeGreaterThan(150);
  });
});
