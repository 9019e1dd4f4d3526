import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import { EraserDatabase } from '../../platform/database/roles/eraser-database';
import type { Row, Statement } from '../../platform/database/sql/statement';
import type { TenantTable } from '../../platform/database/sql/tables';
import { NO_TENANT, TenantDatabase } from '../../platform/database/tenant-database';
import { LOGGER } from '../../platform/observability/logger.module';
import { TENANT_TABLES } from '../tenant-tables';

const TENANTS_AT_ONCE = 100;
const ROWS_AT_ONCE = 1_000;
/** The maximum duration of a run; the next one continues. */
const RUN_MS = 20_000;

/**
 * Erases tenants that closed 30 days ago: table by table in small batches, the tenant itself last, so that an
 * interrupted erasure is found again. Entries of the audit log that were written after the closing stay until they are
 * 29 days old, without anything personal: no role may delete younger ones.
 */
@Injectable()
export class TenantErasure {
  private running = false;
  /** The tenant that was processed last. */
  private after = NO_TENANT;

  constructor(
    private readonly eraser: EraserDatabase,
    private readonly database: TenantDatabase,
    @Inject(TENANT_TABLES) private readonly tables: readonly TenantTable[],
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** One round; a second call meanwhile does nothing. Never throws. */
  async run(): Promise<void> {
    if (this.running) return;
    this.running = true;
    try {
      await this.eraseDue(performance.now() + RUN_MS);
    } catch (error) {
      this.logger.warn(
        { reason: (error as Error).message },
        'closed tenants could not be erased; the next run continues',
      );
    } finally {
      this.running = false;
    }
  }

  private async eraseDue(until: number): Promise<void> {
    const due = await this.eraser.transaction((tx) => tx.query<{ id: string } & Row>(findDue(this.after)));
    for (const { id } of due) {
      if (await this.erase(id, until)) this.logger.info({ tenant_id: id }, 'a closed tenant was erased');
      if (performance.now() >= until) return;
      this.after = id;
    }
    if (due.length < TENANTS_AT_ONCE) this.after = NO_TENANT;
  }

  /** @returns whether the tenant is erased completely */
  private async erase(tenantId: string, until: number): Promise<boolean> {
    for (const table of this.tables) {
      let deleted: number;
      do {
        if (performance.now() >= until) return false;
        deleted = await this.deleteBatch(table, tenantId);
      } while (deleted === ROWS_AT_ONCE);
      const [left] = await this.database.query({ tenantId }, findRow(table, tenantId));
      if (left) return false;
    }
    const gone = await this.eraser.transaction((tx) => tx.query(deleteTenant(tenantId)), { tenantId });
    return gone.length > 0;
  }

  private async deleteBatch(table: TenantTable, tenantId: string): Promise<number> {
    const statement = deleteRows(table, tenantId);
    const rows = table.erasedByEraser
      ? await this.eraser.transaction((tx) => tx.query(statement), { tenantId })
      : await this.database.transaction({ tenantId }, (tx) => tx.query(statement));
    return rows.length;
  }
}

/** Tenants that are to be erased: the role's policy shows no others. */
function findDue(after: string): Statement {
  return {
    name: 'tenants_due_for_erasure',
    text: `select id from tenants where closed_at is not null and id > $1 order by id limit ${TENANTS_AT_ONCE}`,
    values: [after],
  };
}

function deleteRows({ table, key }: TenantTable, tenantId: string): Statement {
  const columns = Object.keys(key).join(', ');
  // In an order, so that each copy of a reference table loses the same rows.
  const batch = `and (${columns}) in (select ${columns} from ${table} where tenant_id = $1 order by ${columns} limit ${ROWS_AT_ONCE})`;
  return {
    name: `erase_${table}_of_tenant`,
    text: `delete from ${table} where tenant_id = $1 ${columns === '' ? '' : batch} returning 1`,
    values: [tenantId],
  };
}

function findRow({ table }: TenantTable, tenantId: string): Statement {
  return {
    name: `erase_${table}_find`,
    text: `select 1 from ${table} where tenant_id = $1 limit 1`,
    values: [tenantId],
  };
}

function deleteTenant(tenantId: string): Statement {
  return { name: 'erase_tenant', text: 'delete from tenants where id = $1 returning 1', values: [tenantId] };
}
