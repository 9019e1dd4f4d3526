import { Readable } from 'node:stream';
import { Injectable } from '@nestjs/common';
import { TenantDatabase } from '../platform/database/tenant-database';
import { RateLimited } from '../platform/errors';
import type { Caller } from '../platform/http/caller';
import type { ExportOrdersDto, OrderView } from './orders.dto';
import { type JsonRow, listOrdersJson } from './orders.queries';
import { toFilter } from './orders.service';

const ROWS_AT_ONCE = 500;
/** Exports that one process runs at once: each may hold one connection of the pool for a moment. */
const MAX_EXPORTS = 8;

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

  constructor(private readonly database: TenantDatabase) {}

  /** The export as a byte stream. @throws RateLimited while too many run */
  stream(caller: Caller, input: ExportOrdersDto): Readable {
    if (this.running >= MAX_EXPORTS) throw new RateLimited('Too many exports at once; try again.', 5);
    this.running++;
    const stream = Readable.from(this.chunks(caller, input), { objectMode: false, highWaterMark: 64 * 1024 });
    stream.once('close', () => this.running--);
    return stream;
  }

  private async *chunks(caller: Caller, input: ExportOrdersDto): AsyncGenerator<string> {
    if (input.format === 'csv') yield `${COLUMNS.join(',')}\r\n`;
    const filter = toFilter(input);
    let afterId: string | undefined;
    for (;;) {
      const statement = listOrdersJson(caller.tenantId, filter, afterId, ROWS_AT_ONCE);
      const rows = await this.database.transaction(caller, (tx) => tx.query<JsonRow>(statement));
      const last = rows[rows.length - 1];
      if (!last) return;
      afterId = last.id;
      yield input.format === 'csv' ? rows.map(csvLine).join('') : rows.map((row) => `${oneLine(row.json)}\n`).join('');
      if (rows.length < ROWS_AT_ONCE) return;
    }
  }
}

/** PostgreSQL breaks long JSON over lines between tokens, never inside a string: there a newline is always escaped. */
function oneLine(json: string): string {
  return json.includes('\n') ? json.replaceAll('\n', '') : json;
}

function csvLine(row: JsonRow): string {
  const order = JSON.parse(row.json) as OrderView;
  const cells = COLUMNS.map((column) => {
    const value = order[column];
    return csvCell(value === null ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value));
  });
  return `${cells.join(',')}\r\n`;
}

/** A cell of RFC 4180, defused: a spreadsheet would run what begins with one of these. */
export function csvCell(text: string): string {
  const defused = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(defused) || defused !== text ? `"${defused.replaceAll('"', '""')}"` : defused;
}
