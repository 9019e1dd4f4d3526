/** The usage of webhooks that is counted per tenant. */
import type { Row, Statement } from '../platform/database/sql/statement';
import type { TenantDatabase } from '../platform/database/tenant-database';
import { firstIdAt } from '../platform/ids/ids';
import type { UsageMeter } from '../platform/usage/usage-meters';
import { MAX_ENDPOINTS } from './endpoints/endpoints.service';
import { MAX_EVENT_TYPES } from './event-types/event-types.service';

interface Counted extends Row {
  count: number;
}

/** The meters of webhooks. */
export function webhookMeters(database: TenantDatabase): UsageMeter[] {
  const count = async (tenantId: string, statement: Statement): Promise<number> => {
    const [row] = await database.queryLong<Counted>({ tenantId }, statement);
    return row?.count ?? 0;
  };
  return [
    {
      name: 'webhook_endpoints',
      limit: MAX_ENDPOINTS,
      period: null,
      count: ({ tenantId }) => count(tenantId, countOf('webhook_endpoints', tenantId)),
    },
    {
      name: 'webhook_event_types',
      limit: MAX_EVENT_TYPES,
      period: null,
      count: ({ tenantId }) => count(tenantId, countOf('webhook_event_types', tenantId)),
    },
    {
      name: 'events',
      limit: null,
      period: 'day',
      count: ({ tenantId }, since) =>
        count(tenantId, {
          name: 'events_count_since',
          text: 'select count(*)::int as count from events where tenant_id = $1 and id >= $2',
          values: [tenantId, firstIdAt(since.getTime())],
        }),
    },
  ];
}

function countOf(table: 'webhook_endpoints' | 'webhook_event_types', tenantId: string): Statement {
  return {
    name: `${table}_count_used`,
    text: `select count(*)::int as count from ${table} where tenant_id = $1`,
    values: [tenantId],
  };
}
