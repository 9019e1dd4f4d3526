import { orderInput, type ApiClient } from './client';
import type { TestService } from './service';

/** Registers that many tenants, a few at a time. */
export async function registerTenants(service: TestService, count: number): Promise<ApiClient[]> {
  const tenants: ApiClient[] = [];
  while (tenants.length < count) {
    const some = Array.from({ length: Math.min(8, count - tenants.length) }, () => service.tenant());
    tenants.push(...(await Promise.all(some)));
  }
  return tenants;
}

/**
 * Lets all tenants create, read, list and change orders at once, `rounds` times, and checks that each response is the
 * tenant's own: an order's notes are its tenant's id.
 */
export async function checkTenantIsolation(tenants: ApiClient[], rounds: number): Promise<void> {
  const made = new Map<ApiClient, string[]>();
  for (let round = 0; round < rounds; round++) {
    await Promise.all(
      tenants.map(async (tenant) => {
        const created = await tenant.post('/orders', { ...orderInput(), notes: tenant.tenantId });
        expect({ status: created.status, notes: created.body?.notes }).toEqual({ status: 201, notes: tenant.tenantId });
        const ids = [created.body.id as string, ...(made.get(tenant) ?? [])];
        made.set(tenant, ids);
        const [read, list, changed] = await Promise.all([
          tenant.get(`/orders/${created.body.id}`),
          tenant.get('/orders?limit=100'),
          tenant.patch(`/orders/${created.body.id}`, { metadata: { round: String(round) } }),
        ]);
        expect(read).toMatchObject({ status: 200, body: { id: created.body.id, notes: tenant.tenantId } });
        expect(
          (list.body as { data: { id: string; notes: string }[] }).data.map(({ id, notes }) => [id, notes]),
        ).toEqual(ids.map((id) => [id, tenant.tenantId]));
        expect(changed).toMatchObject({ status: 200, body: { notes: tenant.tenantId, version: 2 } });
      }),
    );
  }
}
