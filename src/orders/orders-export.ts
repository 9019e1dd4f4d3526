import type { Readable } from 'node:stream';
import { Injectable } from '@nestjs/common';
import { TenantDatabase } from '../platform/database/tenant-database';
import { ExportSlots } from '../platform/http/limits/export-slots';
import type { Caller } from '../platform/http/requests/caller';
import { whilePermitted } from '../platform/http/requests/still-permitted';
import { csvCell } from '../platform/http/responses/csv';
import type { JsonRow } from '../platform/http/responses/results';
import type { ExportFormat } from './export-format';
import type { ExportOrdersDto } from './orders.requests';
import type { OrderView } from './orders.views';
import { isLongRead, listOrdersJson, ORDER_FIELDS } from './orders.queries';
import { toFilter } from './orders.service';

const ROWS_AT_ONCE = 100;
/** Exports at once in one process, and of one tenant, so that no tenant takes them all. */
const MAX_EXPORTS = 16;
const MAX_EXPORTS_OF_TENANT = 4;

/** The byte order mark of UTF-8: without it Excel assumes one of the system's old encodings. */
const BYTE_ORDER_MARK = '\ufeff';

/**
 * Streams all orders of a filter, newest first. It reads pages by the key in short transactions, and only after the
 * reader has taken the previous page: constant memory, and a slow reader holds neither a connection nor an old
 * snapshot. Orders that are created after its start are not included.
 */
@Injectable()
export class OrdersExport {
  private readonly slots = new ExportSlots(MAX_EXPORTS, MAX_EXPORTS_OF_TENANT);

  constructor(private readonly database: TenantDatabase) {}

  /** The export as a byte stream. @throws RateLimited while too many run */
  stream(caller: Caller, input: ExportOrdersDto, format: ExportFormat): Readable {
    const chunks = whilePermitted(caller, 'orders:read', this.chunks(caller, input, format));
    return this.slots.stream(caller.tenantId, chunks);
  }

  private async *chunks(caller: Caller, input: ExportOrdersDto, format: ExportFormat): AsyncGenerator<string> {
    const filter = toFilter(input);
    const toText = format === 'csv' ? csvLine : jsonLine;
    // The header line waits for the first rows: until a byte is sent, a failure can still be a problem response.
    let head = format === 'csv' ? `${input.bom ? BYTE_ORDER_MARK : ''}${ORDER_FIELDS.join(',')}\r\n` : '';
    let rows: JsonRow[];
    let afterId: string | undefined;
    do {
      const statement = listOrdersJson(caller.tenantId, filter, afterId, ROWS_AT_ONCE);
      rows = isLongRead(filter)
        ? await this.database.transaction(caller, (tx) => tx.query<JsonRow>(statement))
        : await this.database.queryIsolated<JsonRow>(caller, statement);
      afterId = rows.at(-1)?.id;
      const chunk = head + rows.map(toText).join('');
      if (chunk !== '') yield chunk;
      head = '';
      // Large rows make a page shorter: only an empty page is the end.
    } while (rows.length > 0);
  }
}

/** PostgreSQL breaks long JSON over lines between tokens, never inside a string: there a newline is always escaped. */
function jsonLine({ json }: JsonRow): string {
  return `${json.includes('\n') ? json.replaceAll('\n', '') : json}\n`;
}

function csvLine(row: JsonRow): string {
  const order = JSON.parse(row.json) as OrderView;
  const cells = ORDER_FIELDS.map((column) => {
    const value = order[column];
    return csvCell(value === null ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value));
  });
  return `${cells.join(',')}\r\n`;
}
