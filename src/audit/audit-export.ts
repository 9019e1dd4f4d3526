import type { Readable } from 'node:stream';
import { Injectable } from '@nestjs/common';
import { TenantDatabase } from '../platform/database/tenant-database';
import { ExportSlots } from '../platform/http/limits/export-slots';
import type { Caller } from '../platform/http/requests/caller';
import { whilePermitted } from '../platform/http/requests/still-permitted';
import { csvCell } from '../platform/http/responses/csv';
import type { AuditEntryView } from './audit-entry.views';
import type { ExportAuditDto } from './audit.requests';
import { type EntryRow, entryView, listEntries } from './audit.queries';
import { toFilter } from './audit.service';

const ROWS_AT_ONCE = 100;
/** Exports at once in one process, and of one tenant, so that no tenant takes them all. */
const MAX_EXPORTS = 8;
const MAX_EXPORTS_OF_TENANT = 2;

/** The columns of a line, each with its value. */
const COLUMNS: Readonly<Record<string, (entry: AuditEntryView) => string | number | null | undefined>> = {
  id: (entry) => entry.id,
  occurred_at: (entry) => entry.occurred_at,
  actor_type: (entry) => entry.actor.type,
  actor_id: (entry) => entry.actor.id,
  actor_email: (entry) => entry.actor.email,
  actor_via: (entry) => entry.actor.via,
  action: (entry) => entry.action,
  target_type: (entry) => entry.target.type,
  target_id: (entry) => entry.target.id,
  changes: (entry) => JSON.stringify(entry.changes),
  network: (entry) => entry.network,
  user_agent: (entry) => entry.user_agent,
  request_id: (entry) => entry.request_id,
  session_id: (entry) => entry.session_id,
  outcome: (entry) => entry.outcome,
  count: (entry) => entry.count,
};
const READERS = Object.values(COLUMNS);

/**
 * Streams all entries of a filter, newest first, a page at a time, and only when the reader has taken the one before.
 */
@Injectable()
export class AuditExport {
  private readonly slots = new ExportSlots(MAX_EXPORTS, MAX_EXPORTS_OF_TENANT);

  constructor(private readonly database: TenantDatabase) {}

  /** The export as a byte stream. @throws RateLimited while too many run */
  stream(caller: Caller, input: ExportAuditDto): Readable {
    return this.slots.stream(caller.tenantId, whilePermitted(caller, 'audit:read', this.chunks(caller, input)));
  }

  private async *chunks(caller: Caller, input: ExportAuditDto): AsyncGenerator<string> {
    const filter = toFilter(input);
    const toText = input.format === 'csv' ? csvLine : jsonLine;
    // The header line waits for the first rows: until a byte is sent, a failure can still be a problem response.
    let head = input.format === 'csv' ? `${Object.keys(COLUMNS).join(',')}\r\n` : '';
    let rows: EntryRow[];
    let afterId: string | undefined;
    do {
      const statement = listEntries(caller.tenantId, filter, afterId, ROWS_AT_ONCE);
      rows = await this.database.queryIsolated<EntryRow>(caller, statement);
      afterId = rows.at(-1)?.id;
      const chunk = head + rows.map((row) => toText(entryView(row))).join('');
      if (chunk !== '') yield chunk;
      head = '';
    } while (rows.length === ROWS_AT_ONCE);
  }
}

function jsonLine(entry: AuditEntryView): string {
  return `${JSON.stringify(entry)}\n`;
}

function csvLine(entry: AuditEntryView): string {
  return `${READERS.map((read) => csvCell(String(read(entry) ?? ''))).join(',')}\r\n`;
}
