import type { TenantDatabase } from '../../platform/database/tenant-database';
import type { DeliveryMetrics } from '../deliveries/delivery-metrics';
import { findRequested, type LaneName, type LaneRow, readLane } from './dispatch.queries';
import { endWaiting } from '../endpoints/endpoints.queries';
import type { EndpointQueue } from './endpoint-queue';

const FILLS_AT_ONCE = 8;
const ENDED_AT_ONCE = 1_000;

/** Reads waiting deliveries from PostgreSQL into the heads of lanes, a few at a time. */
export class LaneReader {
  private fills = 0;

  constructor(
    private readonly database: TenantDatabase,
    private readonly metrics: DeliveryMetrics,
  ) {}

  /** Whether another lane may be read now. */
  get isFree(): boolean {
    return this.fills < FILLS_AT_ONCE;
  }

  /**
   * Reads the head of a lane, and ends the waiting deliveries of a removed or disabled endpoint.
   * @throws when the database does; the lane is then read again later
   */
  async fill(endpoint: EndpointQueue, name: LaneName): Promise<void> {
    const lane = endpoint.lanes[name];
    const { tenantId, endpointId, ordered, readLimit } = endpoint;
    lane.beginFilling();
    this.fills++;
    try {
      const rows = await this.database.query<LaneRow>(
        { tenantId },
        readLane(tenantId, endpointId, name, ordered, readLimit),
      );
      endpoint.applySettings(rows[0] as LaneRow);
      endpoint.fill(name, rows, readLimit, performance.now());
      // Read without the order of an ordered endpoint: not to be used.
      if (endpoint.ordered && !ordered) {
        lane.ready.clear();
        lane.more = true;
      }
      if (!endpoint.enabled && rows[0]?.id) await this.endWaiting(endpoint, rows[0].enabled === null);
    } catch (error) {
      lane.more = true;
      throw error;
    } finally {
      lane.filling = false;
      this.fills--;
    }
  }

  /** The number of the next attempt of a manual request; undefined if it no longer waits. */
  async attemptOf(tenantId: string, deliveryId: string): Promise<number | undefined> {
    const [row] = await this.database.query<{ attempt_count: number }>(
      { tenantId },
      findRequested(tenantId, deliveryId),
    );
    return row && row.attempt_count + 1;
  }

  private async endWaiting(endpoint: EndpointQueue, gone: boolean): Promise<void> {
    const { tenantId, endpointId } = endpoint;
    const status = gone ? 'cancelled' : 'disabled';
    const ended = await this.database.transaction({ tenantId }, (tx) =>
      tx.query(endWaiting(tenantId, endpointId, status, new Date(), ENDED_AT_ONCE)),
    );
    this.metrics.count(status, ended.length);
    if (ended.length > 0) endpoint.lookAgain();
  }
}
