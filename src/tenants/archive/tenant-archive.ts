import { pipeline, Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import { Inject, Injectable } from '@nestjs/common';
import { AuditLog } from '../../platform/audit/audit-log';
import { MembersDatabase } from '../../platform/database/roles/members-database';
import type { TenantTable } from '../../platform/database/sql/tables';
import { TenantDatabase } from '../../platform/database/tenant-database';
import { Forbidden, RateLimited } from '../../platform/errors';
import type { Caller } from '../../platform/http/requests/caller';
import { assertStillPermitted } from '../../platform/http/requests/still-permitted';
import { viewOf } from '../company/company.views';
import { TENANT_TABLES } from '../tenant-tables';
import { Tenant } from '../tenant.entity';
import { type ArchivePart, partsOf } from './archive-parts';
import { findOpenOwner, type TenantExportRow } from './exports.queries';
import { tarEnd, tarEntry } from './tar';

/** A file of the archive is written when it has so many bytes, or its part ends. */
const FILE_BYTES = 1024 * 1024;
/** Archives that are read at once in one process, and of one tenant. */
const MAX_ARCHIVES = 4;
const MAX_ARCHIVES_OF_TENANT = 1;

/**
 * Streams the archive of a tenant. It reads pages by key in short transactions, only after the reader has taken the
 * previous page: constant memory, and a slow reader holds neither a connection nor an old snapshot. It ends if its
 * reader's session has ended, or the reader is no longer an owner of an open tenant.
 */
@Injectable()
export class TenantArchive {
  private readonly parts: readonly ArchivePart[];
  private running = 0;
  private readonly runningOf = new Map<string, number>();

  constructor(
    private readonly database: TenantDatabase,
    private readonly audit: AuditLog,
    members: MembersDatabase,
    @Inject(TENANT_TABLES) tables: readonly TenantTable[],
  ) {
    this.parts = partsOf(tables, database, members);
  }

  /** The archive as the bytes of a tar.gz. @throws RateLimited while too many are read */
  stream(caller: Caller, of: TenantExportRow): Readable {
    const { tenantId } = caller;
    const ofTenant = this.runningOf.get(tenantId) ?? 0;
    if (this.running >= MAX_ARCHIVES || ofTenant >= MAX_ARCHIVES_OF_TENANT) {
      throw new RateLimited('Too many archives are read at once; try again.', 30);
    }
    this.count(tenantId, 1);
    const gzip = createGzip();
    const files = Readable.from(this.files(caller, of), { objectMode: false, highWaterMark: FILE_BYTES });
    // An error destroys the stream that is sent, and so cuts the connection: the reader's tar reports the missing end.
    pipeline(files, gzip, () => this.count(tenantId, -1));
    return gzip;
  }

  private count(tenantId: string, change: 1 | -1): void {
    const ofTenant = (this.runningOf.get(tenantId) ?? 0) + change;
    this.running += change;
    if (ofTenant > 0) this.runningOf.set(tenantId, ofTenant);
    else this.runningOf.delete(tenantId);
  }

  private async *files(caller: Caller, of: TenantExportRow): AsyncGenerator<Buffer> {
    const now = new Date();
    const tenant = await this.database.transaction(caller, (tx) => {
      this.audit.record(tx, caller, { action: 'tenant.exported', target: { type: 'tenant_export', id: of.id } });
      return tx.repository(Tenant).findOneByOrFail({ id: tx.tenantId });
    });
    const json = (name: string, content: object) => tarEntry(name, Buffer.from(`${JSON.stringify(content)}\n`), now);
    yield json('tenant.json', { export_id: of.id, archived_at: now.toISOString(), tenant: viewOf(tenant, true) });
    const rows: Record<string, number> = {};
    for (const part of this.parts) rows[part.name] = yield* this.filesOf(caller, part, now);
    // Last, so that its presence proves completeness.
    yield json('manifest.json', { complete: true, rows });
    yield tarEnd();
  }

  /** The numbered files of a part. @returns the number of its rows */
  private async *filesOf(caller: Caller, part: ArchivePart, now: Date): AsyncGenerator<Buffer, number> {
    let [count, number, bytes] = [0, 1, 0];
    let lines: Buffer[] = [];
    const file = (): Buffer => {
      const name = `${part.name}/${String(number++).padStart(5, '0')}.ndjson`;
      const entry = tarEntry(name, Buffer.concat(lines), now);
      [lines, bytes] = [[], 0];
      return entry;
    };
    let after: readonly string[] | undefined;
    for (;;) {
      await this.assertOwner(caller);
      const page = await part.page(caller, after);
      const last = page.at(-1);
      if (!last) break;
      for (const { json } of page) {
        // PostgreSQL breaks long JSON over lines between tokens, never inside a string.
        const line = Buffer.from(`${json.includes('\n') ? json.replaceAll('\n', '') : json}\n`);
        lines.push(line);
        bytes += line.length;
        count++;
      }
      if (bytes >= FILE_BYTES) yield file();
      if (last.key.length === 0) break;
      after = last.key;
    }
    if (lines.length > 0 || number === 1) yield file();
    return count;
  }

  private async assertOwner(caller: Caller): Promise<void> {
    await assertStillPermitted(caller, 'tenant:manage');
    const [owner] = await this.database.query(caller, findOpenOwner(caller.tenantId, caller.actor.id));
    if (!owner) throw new Forbidden('The archive is for owners.');
  }
}
