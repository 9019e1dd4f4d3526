import type { ApiClient } from './client';
import type { TestDatabase } from './databases';
import { deliveryId } from '../../src/webhooks/deliveries/delivery-id';
import { newTimedId } from '../../src/platform/ids/ids';

/** A valid body for POST /webhooks/endpoints. */
export function endpointInput(change: Record<string, unknown> = {}): Record<string, unknown> {
  return { url: 'https://example.com/hooks', event_types: ['order.*'], ...change };
}

/** Makes an endpoint and gives it, with its secret. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a test reads whatever came
export async function makeEndpoint(tenant: ApiClient, change: Record<string, unknown> = {}): Promise<any> {
  const response = await tenant.post('/webhooks/endpoints', endpointInput(change));
  if (response.status !== 201) throw new Error(`endpoint failed: ${response.status} ${response.text}`);
  return response.body;
}

/** The expected delivery. */
export interface DeliverySeed {
  status: string;
  attempts?: { succeeded: boolean; durationMs: number; startedAt?: Date; body?: string }[];
  type?: string;
  createdAt?: Date;
  eventId?: string;
}

/** Writes deliveries of an endpoint as the worker would have left them; gives their ids in the order given. */
export async function seedDeliveries(
  database: TestDatabase,
  tenantId: string,
  endpointId: string,
  seeds: readonly DeliverySeed[],
): Promise<string[]> {
  const ids: string[] = [];
  for (const { status, attempts = [], type = 'order.created', createdAt = new Date(), eventId } of seeds) {
    const event = eventId ?? eventIdAt(createdAt);
    const id = deliveryId(event, endpointId);
    const waits = status === 'pending' || status === 'retrying';
    await database.sql(
      `insert into events (tenant_id, id, type, data, created_at) values ($1, $2, $3, '{}', $4) on conflict do nothing`,
      [tenantId, event, type, createdAt],
    );
    await database.sql(
      `insert into deliveries (tenant_id, id, endpoint_id, event_id, event_type, status, attempt_count, tries,
                               next_attempt_at, created_at, completed_at)
       values ($1, $2, $3, $4, $5, $6, $7, $7, $8, $9, $10)`,
      [
        tenantId,
        id,
        endpointId,
        event,
        type,
        status,
        attempts.length,
        waits ? new Date(Date.now() + 60_000) : null,
        createdAt,
        waits ? null : createdAt,
      ],
    );
    for (const [index, attempt] of attempts.entries()) {
      await database.sql(
        `insert into delivery_attempts (tenant_id, delivery_id, number, endpoint_id, started_at, duration_ms,
                                        response_status, response_body, error, succeeded)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
        [
          tenantId,
          id,
          index + 1,
          endpointId,
          attempt.startedAt ?? createdAt,
          attempt.durationMs,
          attempt.succeeded ? 200 : 500,
          attempt.body ?? 'ok',
          attempt.succeeded ? null : 'answered 500',
          attempt.succeeded,
        ],
      );
    }
    ids.push(id);
  }
  return ids;
}

/** A UUIDv7 of a time. */
function eventIdAt(time: Date): string {
  const hex = time.getTime().toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}${newTimedId().id.slice(13)}`;
}
