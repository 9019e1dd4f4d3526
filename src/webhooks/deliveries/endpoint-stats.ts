import { Injectable } from '@nestjs/common';
import type { Row, Statement } from '../../platform/database/sql/statement';
import { TenantDatabase } from '../../platform/database/tenant-database';
import { NotFound } from '../../platform/errors';
import type { Caller } from '../../platform/http/requests/caller';
import { findEndpointJson } from '../endpoints/endpoints.queries';
import type { StatsDto } from './endpoint-deliveries.requests';
import type { HourView } from './endpoint-deliveries.views';

const HOUR = 3_600_000;
const DEFAULT_HOURS = 24;

interface HourRow extends Row {
  hour: Date;
  attempts: number;
  succeeded: number;
  percentiles: [number, number, number];
}

/** Statistics of an endpoint by hour, computed from its attempts. */
@Injectable()
export class EndpointStats {
  constructor(private readonly database: TenantDatabase) {}

  /** Every hour of the range, the oldest first, hours without attempts too. @throws NotFound */
  async find(caller: Caller, endpointId: string, input: StatsDto): Promise<HourView[]> {
    const { since, until } = hoursOf(input, new Date());
    const rows = await this.database.transaction(caller, async (tx) => {
      const [endpoint] = await tx.query(findEndpointJson(caller.tenantId, endpointId));
      if (!endpoint) throw new NotFound('Endpoint', endpointId);
      return tx.query<HourRow>(countAttempts(caller.tenantId, endpointId, since, until));
    });
    const byHour = new Map(rows.map((row) => [row.hour.getTime(), row]));
    const hours: HourView[] = [];
    for (let hour = since.getTime(); hour < until.getTime(); hour += HOUR) hours.push(viewOf(hour, byHour.get(hour)));
    return hours;
  }
}

/** Whole hours that hold the time asked for; without one, this hour and those before it. */
function hoursOf({ since, until }: StatsDto, now: Date): { since: Date; until: Date } {
  const end = Math.ceil((until ?? (since ? now : new Date(now.getTime() + 1))).getTime() / HOUR) * HOUR;
  const start = since ? Math.floor(since.getTime() / HOUR) * HOUR : end - DEFAULT_HOURS * HOUR;
  return { since: new Date(start), until: new Date(end) };
}

function viewOf(hour: number, row: HourRow | undefined): HourView {
  const [p50, p95, p99] = row?.percentiles ?? [null, null, null];
  return {
    hour: new Date(hour).toISOString(),
    succeeded: row?.succeeded ?? 0,
    failed: row ? row.attempts - row.succeeded : 0,
    attempts: row?.attempts ?? 0,
    latency_ms: { p50, p95, p99 },
  };
}

function countAttempts(tenantId: string, endpointId: string, since: Date, until: Date): Statement {
  return {
    name: 'endpoint_stats',
    text: `select date_trunc('hour', started_at, 'UTC') as hour, count(*)::int as attempts,
                  count(*) filter (where succeeded)::int as succeeded,
                  percentile_disc(array[0.5, 0.95, 0.99]) within group (order by duration_ms) as percentiles
             from delivery_attempts
            where tenant_id = $1 and endpoint_id = $2 and started_at >= $3 and started_at < $4
            group by 1`,
    values: [tenantId, endpointId, since, until],
  };
}
