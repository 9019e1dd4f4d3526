/** The data for requests: each tenant's token, some of its orders, and the cursors of its page 1,000. */
import { cursorsOfService, withClient } from './database.mjs';

/** Ids of one tenant for requests, spaced evenly over its orders. */
const SAMPLE = 4_000;
const PAGE = 20;
const DEEP_PAGE = 1_000;

/**
 * @param {import('./database.mjs').Database} database
 * @returns {Promise<import('./scenarios.mjs').Fixtures>}
 */
export async function makeFixtures({ ownerUrl, callers }) {
  const cursors = cursorsOfService();
  const tenants = await withClient(ownerUrl, async (client) => {
    const made = [];
    for (const { tenantId, token, key } of callers) {
      const { rows } = await client.query(
        `with numbered as (select id, row_number() over (order by id) as n from orders where tenant_id = $1)
         select id from numbered where n % (1 + (select count(*) from numbered) / $2::int) = 0`,
        [tenantId, SAMPLE],
      );
      const { rows: deep } = await client.query(
        'select id from orders where tenant_id = $1 order by id desc limit 1 offset $2',
        [tenantId, (DEEP_PAGE - 1) * PAGE - 1],
      );
      const { rows: pending } = await client.query(
        `select id from orders where tenant_id = $1 and status = 'pending' order by id limit $2`,
        [tenantId, SAMPLE],
      );
      const last = deep[0]?.id;
      const scope = { tenant: { tenantId }, list: 'orders', filters: {} };
      const cursor = last ? { service: cursors.encode(scope, last), baseline: last } : null;
      const [orders, movable] = [rows, pending].map((some) => some.map(({ id }) => id));
      made.push({ token, key, orders, movable, large: cursor !== null, cursor });
    }
    return made;
  });
  if (!tenants.some((tenant) => tenant.large)) throw new Error('no tenant has enough orders for page 1,000');
  return { tenants };
}
