import { PERMISSIONS } from '../../../../src/platform/permissions/permissions';
import type { ApiClient } from '../../../harness/client';
import { expectGolden } from '../../../harness/golden';
import { addMember, makeKey } from '../../../harness/members';
import { type DocumentedOperation, operationsOf, type OpenApiDocument } from '../../../harness/openapi';
import { startService, type TestService } from '../../../harness/service';

const ABSENT_ID = '0198c0de-7a11-7000-8000-0000000000ff';
const ROLES = ['owner', 'admin', 'member', 'viewer'] as const;
/** These would end the test's own credentials; the suites of sessions and of the tenant call them. */
const ENDS_ITS_CALLER = /^(\w+ \/api\/v1\/auth\/(?!me$|tenants$|sessions$).*|DELETE \/api\/v1\/(auth\/.*|tenant))$/;

/**
 * Each caller at each operation of the document: without a credential, as each role, and as a key with each scope. The
 * permission is checked before a body is read, so that an admitted call ends in 404 or 422 and changes nothing.
 */
describe('the matrix of roles, scopes and operations', () => {
  let service: TestService;
  let operations: DocumentedOperation[];
  const callers = new Map<string, ApiClient>();

  beforeAll(async () => {
    service = await startService();
    const document = (await service.client.get('/openapi.json')).body as OpenApiDocument;
    operations = operationsOf(document).filter(({ name, public: open }) => !open && !ENDS_ITS_CALLER.test(name));
    const owner = await service.tenant();
    callers.set('no one', service.client);
    for (const role of ROLES) callers.set(role, role === 'owner' ? owner : await addMember(service, owner, role));
    for (const scope of PERMISSIONS.allowedIn('apiKeys')) {
      callers.set(`key ${scope}`, (await makeKey(owner, { scopes: [scope] })).client);
    }
  });
  afterAll(() => service.stop());

  async function outcome(client: ApiClient, { method, path }: DocumentedOperation): Promise<string> {
    const filled = path
      .replace('/api/v1', '')
      .replace(/\{(id|user_id)\}/g, ABSENT_ID)
      .replace(/\{\w+\}/g, 'absent');
    const body = method === 'GET' || method === 'DELETE' ? undefined : {};
    const { status } = await client.request(method, filled, { body });
    return status === 401 || status === 403 ? String(status) : 'in';
  }

  it('equals the golden file', async () => {
    const matrix: Record<string, string> = {};
    for (const operation of operations) {
      const cells: string[] = [];
      for (const [name, client] of callers) cells.push(`${name}: ${await outcome(client, operation)}`);
      const closed = cells.filter((cell) => !cell.endsWith(': in')).length;
      expect([operation.name, cells[0]]).toEqual([operation.name, 'no one: 401']);
      expect([operation.name, closed]).not.toEqual([operation.name, cells.length]);
      matrix[operation.name] = cells
        .filter((cell) => cell.endsWith(': in'))
        .map((cell) => cell.slice(0, -4))
        .join(', ');
    }
    expect(Object.keys(matrix).length).toBeGreaterThan(40);
    expectGolden('access-matrix.json', `${JSON.stringify(matrix, null, 2)}\n`);
  });
});
