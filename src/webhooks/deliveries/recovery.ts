import { Injectable } from '@nestjs/common';
import { TenantDatabase, type TenantScope } from '../../platform/database/tenant-database';
import { Conflict, NotFound } from '../../platform/errors';
import { firstIdAt } from '../../platform/ids/ids';
import { countLost, lockLost, recoverDeliveries } from './deliveries.queries';
import { lockEndpointForShare } from '../endpoints/endpoints.queries';
import { DispatchRequests } from '../notifications/dispatch-request';

const ROWS_AT_ONCE = 5_000;

/** The range of time; until now without an end. */
interface Period {
  since: Date;
  until?: Date;
}

/** Sends again the deliveries that an endpoint missed while it failed or was disabled. */
@Injectable()
export class Recovery {
  constructor(
    private readonly database: TenantDatabase,
    private readonly signal: DispatchRequests,
  ) {}

  /**
   * Makes every failed or disabled delivery of a range due again, in transactions of a bounded size. After an
   * interruption a second call does the rest. It ends early if the endpoint is disabled meanwhile.
   * @returns the number of deliveries
   * @throws NotFound; Conflict when the endpoint is disabled
   */
  async recover(scope: TenantScope, endpointId: string, period: Period): Promise<number> {
    const { before, ...range } = idsOf(period);
    let count = 0;
    let after: string | undefined = range.after;
    while (after !== undefined) {
      const batch = await this.recoverBatch(scope, endpointId, { after, before });
      if (typeof batch === 'string') {
        if (count > 0) break;
        throw refusal(batch, endpointId);
      }
      count += batch.length;
      after = batch.length < ROWS_AT_ONCE ? undefined : batch[batch.length - 1];
    }
    return count;
  }

  /** The number of deliveries that {@link recover} would make due now; changes nothing. @throws as {@link recover} */
  async count(scope: TenantScope, endpointId: string, period: Period): Promise<number> {
    const { tenantId } = scope;
    return this.database.transaction(scope, async (tx) => {
      const [endpoint] = await tx.query<{ enabled: boolean }>(lockEndpointForShare(tenantId, endpointId));
      if (!endpoint?.enabled) throw refusal(endpoint ? 'disabled' : 'gone', endpointId);
      const [row] = await tx.query<{ count: number }>(countLost(tenantId, endpointId, idsOf(period)));
      return row?.count ?? 0;
    });
  }

  /** The ids of a batch, or the reason why there is none. */
  private recoverBatch(
    scope: TenantScope,
    endpointId: string,
    range: { after: string; before: string },
  ): Promise<string[] | 'gone' | 'disabled'> {
    const { tenantId } = scope;
    return this.database.transaction(scope, async (tx) => {
      const [endpoint] = await tx.query<{ enabled: boolean }>(lockEndpointForShare(tenantId, endpointId));
      if (!endpoint) return 'gone';
      if (!endpoint.enabled) return 'disabled';
      const rows = await tx.query<{ id: string }>(lockLost(tenantId, endpointId, range, ROWS_AT_ONCE));
      const ids = rows.map((row) => row.id);
      if (ids.length > 0) {
        tx.defer(recoverDeliveries(tenantId, ids, new Date()));
        this.signal.send(tx, { tenantId, endpointId });
      }
      return ids;
    });
  }
}

function idsOf({ since, until = new Date() }: Period): { after: string; before: string } {
  return { after: firstIdAt(since.getTime()), before: firstIdAt(until.getTime()) };
}

function refusal(reason: 'gone' | 'disabled', endpointId: string): NotFound | Conflict {
  if (reason === 'gone') return new NotFound('Endpoint', endpointId);
  return new Conflict(`The endpoint '${endpointId}' is disabled: enable it first.`);
}
