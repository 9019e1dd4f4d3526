import type { INestApplicationContext } from '@nestjs/common';
import { OperatorDatabase } from '../../platform/database/roles/operator-database';
import type { TenantScope } from '../../platform/database/tenant-database';
import { listTenants, type TenantRow } from '../../tenants/tenants.queries';

const TENANTS_A_PAGE = 1_000;
const TENANTS_AT_ONCE = 4;

/** Runs work for each tenant, suspended ones too, a few at a time. Tenants that are created meanwhile come last. */
export async function forEveryTenant(
  app: INestApplicationContext,
  work: (scope: TenantScope) => Promise<void>,
): Promise<void> {
  const operator = app.get(OperatorDatabase);
  for (let after: string | undefined; ;) {
    const page: TenantRow[] = await operator.query<TenantRow>(listTenants(after, TENANTS_A_PAGE, false));
    for (let at = 0; at < page.length; at += TENANTS_AT_ONCE) {
      await Promise.all(page.slice(at, at + TENANTS_AT_ONCE).map(({ id }) => work({ tenantId: id })));
    }
    if (page.length < TENANTS_A_PAGE) return;
    after = page[page.length - 1]?.id;
  }
}
