/**
 * How memberships begin and end, and the tenants of a person. `user_tenants` repeats the tenants of each person: on
 * Citus each server has a copy of it, so that a sign-in asks the servers of the person's tenants alone and does not
 * depend on the others. A row there grants nothing.
 */
import type { TenantTransaction } from '../platform/database/tenant-database';
import type { Transaction } from '../platform/database/transaction';
import { Membership } from './membership.entity';
import {
  deleteMembership,
  deleteUserTenant,
  findTenantsOfMember,
  findUserTenants,
  insertUserTenant,
  replaceFounder,
} from './memberships.queries';

/** Begins a membership. */
export async function beginMembership(tx: Transaction, membership: Membership): Promise<void> {
  await tx.repository(Membership).insert(membership);
  tx.defer(insertUserTenant(membership.tenantId, membership.userId));
}

/**
 * Ends a membership in the transaction's tenant. The place of its founder does not become free: the sign-in role could
 * write another person there.
 */
export async function endMembership(tx: TenantTransaction, userId: string): Promise<void> {
  const [ended] = await tx.query<{ founder: boolean }>(deleteMembership(tx.tenantId, userId));
  if (ended?.founder) tx.defer(replaceFounder(tx.tenantId));
  tx.defer(deleteUserTenant(tx.tenantId, userId));
}

/** The ids of a person's tenants, sorted, in a transaction of the sign-in role bound to the person. */
export async function tenantIdsOf(tx: Transaction, userId: string): Promise<string[]> {
  const find = tx.isDistributed ? findUserTenants : findTenantsOfMember;
  const rows = await tx.query<{ tenant_id: string }>(find(userId));
  return rows.map((row) => row.tenant_id);
}

/** The tenants that a statement over a person's memberships names on Citus; null elsewhere. */
export async function tenantsToAsk(tx: Transaction, userId: string): Promise<string[] | null> {
  return tx.isDistributed ? tenantIdsOf(tx, userId) : null;
}

/**
 * The homes of a person's sessions, for statements that find rows by the person: on Citus they name the homes, so that
 * no other server is asked; elsewhere an index finds the rows, and this is null.
 */
export async function homesOf(tx: Transaction, userId: string): Promise<string[] | null> {
  return tx.isDistributed ? [...(await tenantIdsOf(tx, userId)), userId] : null;
}
