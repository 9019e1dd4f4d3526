/** The usage of webhooks that is counted on demand. */
import type { Config } from '../platform/config/config';
import type { Row, Statement } from '../platform/database/sql/statement';
import type { TenantDatabase } from '../platform/database/tenant-database';
import type { UsageMeter } from '../platform/usage/usage-meters';
import { countOfBusiestHost, type EndpointUrl } from './endpoints/endpoint-quota';
import { countEndpoints, listEndpointUrls } from './endpoints/endpoints.queries';
import { MAX_EVENT_TYPES } from './event-types/event-types.service';

interface Counted extends Row {
  count: number;
}

/** The meters of endpoints and types of events. */
export function webhookMeters(database: TenantDatabase, config: Config): UsageMeter[] {
  const meter = (name: string, limit: number, statementOf: (tenantId: string) => Statement): UsageMeter => ({
    name,
    limit,
    count: async ({ tenantId }) => {
      const [row] = await database.queryLong<Counted>({ tenantId }, statementOf(tenantId));
      return row?.count ?? 0;
    },
  });
  return [
    meter('webhook_endpoints', config.WEBHOOK_MAX_ENDPOINTS, countEndpoints),
    {
      name: 'webhook_endpoints_of_one_host',
      limit: config.WEBHOOK_MAX_ENDPOINTS_PER_HOST,
      count: async (scope) =>
        countOfBusiestHost(await database.queryLong<EndpointUrl>(scope, listEndpointUrls(scope.tenantId))),
    },
    meter('webhook_event_types', MAX_EVENT_TYPES, countEventTypes),
  ];
}

function countEventTypes(tenantId: string): Statement {
  return {
    name: 'webhook_event_types_count_used',
    text: 'select count(*)::int as count from webhook_event_types where tenant_id = $1',
    values: [tenantId],
  };
}
