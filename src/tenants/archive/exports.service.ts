import { Injectable } from '@nestjs/common';
import { AuditLog } from '../../platform/audit/audit-log';
import { TenantDatabase } from '../../platform/database/tenant-database';
import { AppError, Forbidden, NotFound } from '../../platform/errors';
import type { Caller } from '../../platform/http/requests/caller';
import { Idempotency, type IdempotentRequest } from '../../platform/http/responses/idempotency';
import { Download, Outcome, Representation, type WriteResult } from '../../platform/http/responses/results';
import { newTimedId } from '../../platform/ids/ids';
import { lockMembers } from '../tenant-lock';
import type { TenantExportView } from './exports.views';
import { countExports, findExport, insertExport, type TenantExportRow } from './exports.queries';
import { TenantArchive } from './tenant-archive';

const LIFE_MS = 7 * 24 * 60 * 60 * 1000;
const MAX_EXPORTS = 10;

/** Exports of a tenant: asked for by an owner with a fresh sign-in, read by owners until they expire. */
@Injectable()
export class ExportsService {
  constructor(
    private readonly database: TenantDatabase,
    private readonly idempotency: Idempotency,
    private readonly audit: AuditLog,
    private readonly archive: TenantArchive,
  ) {}

  /** @throws Forbidden unless the caller is an owner; AppError `business_rule_violation` for one too many */
  create(caller: Caller, request?: IdempotentRequest): Promise<WriteResult> {
    assertOwner(caller);
    return this.idempotency.transaction(caller, request, async (tx) => {
      await lockMembers(tx);
      const { id, at } = newTimedId();
      const [counted] = await tx.query<{ count: number }>(countExports(tx.tenantId, at));
      if ((counted?.count ?? 0) >= MAX_EXPORTS) {
        throw new AppError('business_rule_violation', `A tenant has at most ${MAX_EXPORTS} exports at a time.`);
      }
      const expiresAt = new Date(at.getTime() + LIFE_MS);
      const row = { id, created_by: caller.actor.id, created_at: at, expires_at: expiresAt, version: 1 };
      tx.defer(insertExport(tx.tenantId, row));
      this.audit.record(tx, caller, { action: 'tenant.export_requested', target: { type: 'tenant_export', id } });
      return new Outcome(JSON.stringify(viewOf(row)), { id, version: row.version });
    });
  }

  /** @throws Forbidden; NotFound, after its end too */
  async find(caller: Caller, id: string): Promise<Representation> {
    const row = await this.get(caller, id);
    return new Representation(JSON.stringify(viewOf(row)), row.version);
  }

  /** The archive, which is made while it is sent. @throws Forbidden; NotFound; RateLimited */
  async read(caller: Caller, id: string): Promise<Download> {
    const row = await this.get(caller, id);
    const name = `tenant-${caller.tenantId}.tar.gz`;
    return new Download(name, 'application/gzip', () => this.archive.stream(caller, row));
  }

  private async get(caller: Caller, id: string): Promise<TenantExportRow> {
    assertOwner(caller);
    const [row] = await this.database.query<TenantExportRow>(caller, findExport(caller.tenantId, id, new Date()));
    if (!row) throw new NotFound('Export', id);
    return row;
  }
}

function assertOwner(caller: Caller): void {
  if (caller.role !== 'owner' || caller.actor.type !== 'user') throw new Forbidden('Exports are for owners.');
}

function viewOf(row: TenantExportRow): TenantExportView {
  return {
    id: row.id,
    status: 'ready',
    created_by: row.created_by,
    created_at: row.created_at.toISOString(),
    expires_at: row.expires_at.toISOString(),
    version: row.version,
  };
}
