import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import { AuditLog } from '../../platform/audit/audit-log';
import { type CountedRefusal, MAX_ANONYMOUS, REST_ACTION } from '../../platform/audit/refusals';
import { AuditDatabase } from '../../platform/database/roles/audit-database';
import type { Row, Statement } from '../../platform/database/sql/statement';
import type { TenantTransaction } from '../../platform/database/tenant-database';
import { LOGGER } from '../../platform/observability/logger.module';

const HOUR_MS = 60 * 60 * 1_000;
/** Counts of the last hour may still be on their way from other processes; milliseconds. */
const GRACE_MS = 30_000;
const TENANTS_AT_ONCE = 1_000;
const KINDS_AT_ONCE = 5_000;

interface RefusalRow extends Row {
  hour: Date;
  anonymous: boolean;
  entry: CountedRefusal;
  count: number;
}

/** Writes the refusals of hours that have ended into the logs, one entry with a count for each kind. */
@Injectable()
export class RefusalWriter {
  constructor(
    private readonly database: AuditDatabase,
    private readonly audit: AuditLog,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** Writes all counts whose hour has ended. */
  async writeAll(now = new Date()): Promise<void> {
    const before = new Date(Math.floor((now.getTime() - GRACE_MS) / HOUR_MS) * HOUR_MS);
    const rows = await this.database.acrossTenants((tx) =>
      tx.query<{ tenant_id: string }>(tenantsWithRefusals(before, TENANTS_AT_ONCE)),
    );
    for (const { tenant_id: tenantId } of rows) {
      await this.database
        .transaction({ tenantId }, (tx) => this.write(tx, before))
        .catch((error: unknown) => this.logger.error({ err: error, tenant_id: tenantId }, 'refusals were not written'));
    }
  }

  /** Of two concurrent workers, one deletes, and so writes, each counted row. */
  private async write(tx: TenantTransaction, before: Date): Promise<void> {
    const rows = await tx.query<RefusalRow>(takeRefusals(tx.tenantId, before, KINDS_AT_ONCE));
    const anonymous = rows.filter((row) => row.anonymous).sort((a, b) => b.count - a.count);
    for (const row of [...rows.filter((one) => !one.anonymous), ...anonymous.slice(0, MAX_ANONYMOUS)]) {
      this.record(tx, row.entry, row.count);
    }
    const rest = anonymous.slice(MAX_ANONYMOUS).reduce((sum, row) => sum + row.count, 0);
    if (rest === 0) return;
    const target = { type: 'tenant', id: tx.tenantId };
    this.record(
      tx,
      { actor: { type: 'anonymous', id: null }, entry: { action: REST_ACTION, target, outcome: 'denied' } },
      rest,
    );
  }

  private record(tx: TenantTransaction, { actor, session, network, entry }: CountedRefusal, count: number): void {
    this.audit.record(tx, { tenantId: tx.tenantId, actor, session, origin: { network } }, { ...entry, count });
  }
}

function tenantsWithRefusals(before: Date, limit: number): Statement {
  return {
    name: 'audit_refusals_tenants',
    text: 'select distinct tenant_id from audit_refusals where hour < $1 limit $2',
    values: [before, limit],
  };
}

function takeRefusals(tenantId: string, before: Date, limit: number): Statement {
  return {
    name: 'audit_refusals_take',
    text: `delete from audit_refusals where tenant_id = $1 and (hour, key) in (
             select hour, key from audit_refusals where tenant_id = $1 and hour < $2 order by hour, key limit $3)
           returning hour, anonymous, entry, count`,
    values: [tenantId, before, limit],
  };
}
