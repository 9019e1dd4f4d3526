import { Injectable } from '@nestjs/common';
import { databaseClock } from '../../platform/database/database-clock';
import { TenantDatabase } from '../../platform/database/tenant-database';
import { Age } from './age';
import { findToSend, type SendingRow } from './sending.queries';

/** The largest expected difference between two processes' estimates of the database's time. */
const CLOCK_TOLERANCE_MS = 5_000;

/** A delivery as it was read. */
export interface LoadedDelivery {
  row: SendingRow;
  /** The bytes of its event's message, shared with the other deliveries of the event. */
  body: Buffer;
  age: Age;
}

/** Reads deliveries to send. */
@Injectable()
export class DeliveryLoader {
  constructor(private readonly database: TenantDatabase) {}

  /** Reads deliveries of one tenant in one statement, by their ids; those that do not exist any more are left out. */
  async load(tenantId: string, ids: readonly string[]): Promise<Map<string, LoadedDelivery>> {
    const age = new Age();
    const now = new Date(databaseClock.now());
    const dueBy = new Date(now.getTime() + CLOCK_TOLERANCE_MS);
    const rows = await this.database.query<SendingRow>({ tenantId }, findToSend(tenantId, ids, now, dueBy));
    const bodies = new Map<string, Buffer>();
    for (const row of rows) if (row.data !== null) bodies.set(row.event_id, bodyOf(row, row.data));
    return new Map(rows.map((row) => [row.id, { row, body: bodies.get(row.event_id) as Buffer, age }]));
  }
}

function bodyOf(row: SendingRow, data: string): Buffer {
  const timestamp = row.event_created_at.toISOString();
  return Buffer.from(`{"id":"${row.event_id}","type":"${row.event_type}","timestamp":"${timestamp}","data":${data}}`);
}

/** Whether this attempt of a delivery is still due. */
export function isDue(row: SendingRow, attempt: number): boolean {
  return row.is_due && row.attempt_count === attempt - 1;
}

/** Whether both rows lead to the same request. */
export function isSameMessage(a: SendingRow, b: SendingRow): boolean {
  return (
    a.url === b.url &&
    a.encrypted_parts === b.encrypted_parts &&
    a.secret === b.secret &&
    a.previous_secret === b.previous_secret
  );
}
