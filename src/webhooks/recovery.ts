import { Injectable } from '@nestjs/common';
import { TenantDatabase } from '../platform/database/tenant-database';
import { Conflict, NotFound } from '../platform/errors';
import type { Caller } from '../platform/http/caller';
import { firstIdAt } from '../platform/ids';
import { lockLost, recoverDeliveries } from './deliveries.queries';
import { holdEndpoint } from './endpoints.queries';
import type { RecoverDto } from './traffic.dto';
import { DispatchSignal } from './wake';

const ROWS_AT_ONCE = 5_000;

/** Sends again what an endpoint missed while it failed or was disabled. */
@Injectable()
export class Recovery {
  constructor(
    private readonly database: TenantDatabase,
    private readonly signal: DispatchSignal,
  ) {}

  /**
   * Makes every failed or disabled delivery of a time due again, in transactions of a bounded size: cut short, it can
   * be asked for once more, and does what is left. It ends early where the endpoint is disabled meanwhile.
   * @returns how many
   * @throws NotFound; Conflict when the endpoint is disabled
   */
  async recover(caller: Caller, endpointId: string, { since, until }: RecoverDto): Promise<number> {
    const before = firstIdAt((until ?? new Date()).getTime());
    let count = 0;
    let after: string | undefined = firstIdAt(since.getTime());
    while (after !== undefined) {
      const batch = await this.recoverBatch(caller, endpointId, { after, before });
      if (typeof batch === 'string') {
        if (count > 0) break;
        if (batch === 'gone') throw new NotFound('Endpoint', endpointId);
        throw new Conflict(`The endpoint '${endpointId}' is disabled: enable it first.`);
      }
      count += batch.length;
      after = batch.length < ROWS_AT_ONCE ? undefined : batch[batch.length - 1];
    }
    return count;
  }

  /** The ids of a batch, or why there is none. */
  private recoverBatch(
    caller: Caller,
    endpointId: string,
    range: { after: string; before: string },
  ): Promise<string[] | 'gone' | 'disabled'> {
    const { tenantId } = caller;
    return this.database.transaction(caller, async (tx) => {
      const [endpoint] = await tx.query<{ enabled: boolean }>(holdEndpoint(tenantId, endpointId));
      if (!endpoint) return 'gone';
      if (!endpoint.enabled) return 'disabled';
      const rows = await tx.query<{ id: string }>(lockLost(tenantId, endpointId, range, ROWS_AT_ONCE));
      const ids = rows.map((row) => row.id);
      if (ids.length > 0) {
        tx.defer(recoverDeliveries(tenantId, ids, new Date()));
        this.signal.requested(tx, { tenantId, endpointId });
      }
      return ids;
    });
  }
}
