import type { TenantTransaction } from '../platform/database/tenant-database';
import { AppError } from '../platform/errors';
import { lockTenant, otherActiveOwner } from './tenants.queries';

/**
 * Locks the tenant's row until the transaction ends: changes of members, roles and policies happen one after the other.
 * A count of owners in a condition is not enough: under READ COMMITTED two concurrent statements each count the other's
 * owner.
 */
export async function lockMembers(tx: TenantTransaction): Promise<void> {
  await tx.query(lockTenant(tx.tenantId));
}

/**
 * Refuses to remove the last active owner; call it under {@link lockMembers}.
 * @throws AppError `business_rule_violation` if no other member is an active owner
 */
export async function assertOwnerRemains(tx: TenantTransaction, withoutUserId: string): Promise<void> {
  const [other] = await tx.query(otherActiveOwner(tx.tenantId, withoutUserId));
  if (!other)
    throw new AppError('business_rule_violation', 'A tenant always has an active owner; this is the last one.');
}
