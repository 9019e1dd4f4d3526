import type { Logger } from 'pino';
import type { TenantDatabase } from '../../platform/database/tenant-database';
import type { DeliveryMetrics } from '../deliveries/delivery-metrics';
import { endWaiting } from '../endpoints/endpoints.queries';
import { findRequested, readWaiting, type WaitingRow, type WaitingStatus } from './dispatch.queries';
import type { EndpointQueue } from './endpoint-queue';

const READS_AT_ONCE = 8;
const ENDED_AT_ONCE = 1_000;
/** The pause after a read has failed. */
const PAUSE_MS = 250;
const STATUSES: readonly WaitingStatus[] = ['pending', 'retrying'];

/** Reads waiting deliveries from PostgreSQL into the heads of the queues, a few at a time for the whole process. */
export class WaitingReader {
  private reads = 0;
  private resumesAt = 0;

  constructor(
    private readonly database: TenantDatabase,
    private readonly metrics: DeliveryMetrics,
    private readonly logger: Logger,
  ) {}

  /** Reads more of an endpoint's deliveries where its queues need it. @param whenRead is called after each read */
  refill(endpoint: EndpointQueue, now: number, whenRead: () => void): void {
    for (const status of STATUSES) {
      if (this.reads >= READS_AT_ONCE || now < this.resumesAt || !endpoint.needsReading(status, now)) continue;
      void this.read(endpoint, status).then(whenRead);
    }
  }

  /** Reads the head of a queue, and ends the waiting deliveries of a removed or disabled endpoint. Never rejects. */
  private async read(endpoint: EndpointQueue, status: WaitingStatus): Promise<void> {
    const { tenantId, endpointId } = endpoint;
    const reading = endpoint.beginReading(status);
    let failed = true;
    this.reads++;
    try {
      const rows = await this.database.query<WaitingRow>(
        { tenantId },
        readWaiting(tenantId, endpointId, status, reading.ordered, reading.limit),
      );
      endpoint.applyRows(reading, rows, performance.now());
      if (!endpoint.isEnabled && rows[0]?.id) await this.endWaiting(endpoint, rows[0].enabled === null);
      failed = false;
    } catch (error) {
      this.resumesAt = performance.now() + PAUSE_MS;
      this.logger.warn({ reason: (error as Error).message }, 'waiting deliveries could not be read');
    } finally {
      endpoint.endReading(reading, failed);
      this.reads--;
    }
  }

  /** The number of the next attempt of a manual request; undefined if it no longer waits. */
  async nextAttempt(tenantId: string, deliveryId: string): Promise<number | undefined> {
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
    if (ended.length > 0) endpoint.refresh();
  }
}
