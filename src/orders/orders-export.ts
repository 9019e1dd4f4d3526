import { Readable } from 'node:stream';
import { Injectable } from '@nestjs/common';
import { TenantDatabase } from '../platform/database/tenant-database';
import { RateLimited } from '../platform/errors';
import type { Caller } from '../platform/http/requests/caller';
import type { JsonRow } from '../platform/http/responses/json-response';
import type { ExportFormat } from './export-format';
import type { OrderFilters, OrderView } from './orders.dto';
import { listOrdersJson } from './orders.queries';
import { toFilter } from './orders.service';

const ROWS_AT_ONCE = 100;
/** Exports that one process runs at once, and of one tenant, so that no tenant takes them all. */
const MAX_EXPORTS = 16;
const MAX_EXPORTS_OF_TENANT = 4;

const COLUMNS = [
  'id',
  'customer_id',
  'status',
  'total_amount',
  'currency',
  'notes',
  'metadata',
  'items',
  'version',
  'created_at',
  'updated_at',
] as const satisfies readonly (keyof OrderView)[];

/**
 * Streams all orders of a filter, newest first. It pages by the key with short transactions, a page at a time and only
 * when the reader has taken the one before: constant memory, and a slow reader holds neither a connection nor the
 * database's oldest snapshot. What is made after it began is not in it.
 */
@Injectable()
export class OrdersExport {
  private running = 0;
  private readonly runningOf = new Map<string, number>();

  constructor(private readonly database: TenantDatabase) {}

  /** The export as a byte stream. @throws RateLimited while too many run */
  stream(caller: Caller, input: OrderFilters, format: ExportFormat): Readable {
    const ofTenant = this.runningOf.get(caller.tenantId) ?? 0;
    if (this.running >= MAX_EXPORTS || ofTenant >= MAX_EXPORTS_OF_TENANT) {
      throw new RateLimited('Too many exports at once; try again.', 5);
    }
    this.count(caller.tenantId, 1);
    const stream = Readable.from(this.chunks(caller, input, format), { objectMode: false, highWaterMark: 64 * 1024 });
    stream.once('close', () => this.count(caller.tenantId, -1));
    return stream;
  }

  private count(tenantId: string, change: 1 | -1): void {
    const ofTenant = (this.runningOf.get(tenantId) ?? 0) + change;
    this.running += change;
    if (ofTenant > 0) this.runningOf.set(tenantId, ofTenant);
    else this.runningOf.delete(tenantId);
  }

  private async *chunks(caller: Caller, input: OrderFilters, format: ExportFormat): AsyncGenerator<string> {
    const filter = toFilter(input);
    const toText = format === 'csv' ? csvLine : jsonLine;
    // The header line waits for the first rows: until something is sent, a failure can still be answered as one.
    let head = format === 'csv' ? `${COLUMNS.join(',')}\r\n` : '';
    let rows: JsonRow[];
    let afterId: string | undefined;
    do {
      const statement = listOrdersJson(caller.tenantId, filter, afterId, ROWS_AT_ONCE);
      rows = await this.database.readApart<JsonRow>(caller, statement);
      afterId = rows.at(-1)?.id;
      const chunk = head + rows.map(toText).join('');
      if (chunk !== '') yield chunk;
      head = '';
    } while (rows.length === ROWS_AT_ONCE);
  }
}

/** PostgreSQL breaks long JSON over lines between tokens, never inside a string: there a newline is always escaped. */
function jsonLine({ json }: JsonRow): string {
  return `${json.includes('\n') ? json.replaceAll('\n', '') : json}\n`;
}

function csvLine(row: JsonRow): string {
  const order = JSON.parse(row.json) as OrderView;
  const cells = COLUMNS.map((column) => {
    const value = order[column];
    return csvCell(value === null ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value));
  });
  return `${cells.join(',')}\r\n`;
}

/** What a spreadsheet may run at the head of a cell, in full width too. */
const ACTIVE = /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;

/** A cell of RFC 4180, defused. */
export function csvCell(text: string): string {
  const defused = ACTIVE.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(defused) || defused !== text ? `"${defused.replaceAll('"', '""')}"` : defused;
}
