import { AuditLog } from '../../src/platform/audit/audit-log';
import { ConnectionManager } from '../../src/platform/database/connections/connection-manager';
import type { ApiClient } from '../harness/client';
import { startService, type TestService } from '../harness/service';

/** The cost of a change of an order's status with its entry in the audit log, in statements and round trips. */
describe('the entry of a status change', () => {
  let service: TestService;
  let tenant: ApiClient;

  beforeAll(async () => {
    service = await startService();
    tenant = await service.tenant();
  });
  afterAll(() => service.stop());

  /** The statements of one change by their names, in the groups in which they travel together. */
  async function change(): Promise<string[][]> {
    const { id } = (await tenant.createOrder()) as { id: string };
    // The session and its tenant are known by then.
    await tenant.get(`/orders/${id}`);
    const { spans } = service.app.get(ConnectionManager, { strict: false });
    const trips: string[][] = [];
    const around = spans.around.bind(spans);
    const spy = jest.spyOn(spans, 'around').mockImplementation((statements, work) => {
      trips.push(statements.map((statement) => (statement as { summary?: string }).summary ?? statement.name));
      return around(statements, work) as never;
    });
    try {
      const response = await tenant.patch(`/orders/${id}/status`, { status: 'confirmed' });
      expect(response.status).toBe(200);
      return trips;
    } finally {
      spy.mockRestore();
    }
  }

  it('is part of a statement that is sent anyway: no statement more, and no round trip', async () => {
    const withEntry = await change();
    const record = jest.spyOn(service.app.get(AuditLog), 'record').mockReturnValue('');
    const without = await change();
    record.mockRestore();
    const counts = (trips: string[][]) => trips.map((trip) => trip.length);
    expect(withEntry.flat().join(' ')).toMatch(/audit_insert/);
    expect(without.flat().join(' ')).not.toMatch(/audit_/);
    expect(counts(withEntry)).toEqual(counts(without));
  });
});
