import { Injectable, type OnModuleInit } from '@nestjs/common';
import { AuditLog } from '../platform/audit/audit-log';
import type { TenantTransaction } from '../platform/database/tenant-database';
import { Hooks } from '../platform/hooks/hooks';
import { Outbox } from '../platform/outbox/outbox';
import { Epochs } from '../platform/revocation/epochs';
import { viewOf } from './api-keys.views';
import * as queries from './api-keys.queries';

/** Personal keys end with their person's access: a membership that ends, a claimed or an erased account. */
@Injectable()
export class PersonalKeys implements OnModuleInit {
  constructor(
    private readonly hooks: Hooks,
    private readonly outbox: Outbox,
    private readonly audit: AuditLog,
    private readonly epochs: Epochs,
  ) {}

  onModuleInit(): void {
    this.hooks.membershipEnded.on((tx, { userId }) => this.endInTenant(tx, userId));
    this.hooks.userClaimed.on(
      (tx, { userId, tenantIds }) => void tx.defer(queries.deleteKeysOfPerson(userId, tenantIds)),
    );
    this.hooks.userReverted.on(
      (tx, { userId, tenantIds, since }) => void tx.defer(queries.deleteKeysOfPersonSince(userId, tenantIds, since)),
    );
    this.hooks.userExported.on(async (tx, { userId, data }) => {
      data.api_keys = await tx.query(queries.listKeysOfPerson(userId));
    });
    this.hooks.userLeft.on((tx, { userId, tenantIds }) => void tx.defer(queries.deleteKeysOfPerson(userId, tenantIds)));
  }

  /** The same transaction raises the epoch of the member, which notifies every process. */
  private async endInTenant(tx: TenantTransaction, userId: string): Promise<void> {
    const rows = await tx.query<queries.KeyRow>(queries.lockPersonalKeys(tx.tenantId, userId));
    if (rows.length === 0) return;
    await tx.query(queries.deletePersonalKeys(tx.tenantId, userId));
    this.epochs.raiseMember(tx, userId);
    for (const row of rows) {
      tx.defer(queries.deleteKeyEpoch(tx.tenantId, row.id));
      this.audit.record(
        tx,
        { tenantId: tx.tenantId, actor: { type: 'system', id: null } },
        { action: 'api_key.revoked', target: { type: 'api_key', id: row.id }, changes: { name: [row.name, null] } },
      );
      this.outbox.publish(tx, [{ type: 'api_key.revoked', data: JSON.stringify(viewOf(row)), aggregateId: row.id }]);
    }
  }
}
