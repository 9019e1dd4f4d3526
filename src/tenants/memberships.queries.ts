/** Memberships as they begin and end, each with its row of `user_tenants`. */
import type { Row, Statement } from '../platform/database/sql/statement';
import type { MemberStatus } from './membership.entity';

export function insertUserTenant(tenantId: string, userId: string): Statement {
  return {
    name: 'user_tenant_insert',
    text: 'insert into user_tenants (tenant_id, user_id) values ($1, $2) on conflict do nothing',
    values: [tenantId, userId],
  };
}

export function deleteUserTenant(tenantId: string, userId: string): Statement {
  return {
    name: 'user_tenant_delete',
    text: 'delete from user_tenants where tenant_id = $1 and user_id = $2',
    values: [tenantId, userId],
  };
}

export function deleteMembership(tenantId: string, userId: string): Statement {
  return {
    name: 'membership_delete',
    text: 'delete from memberships where tenant_id = $1 and user_id = $2 returning founder',
    values: [tenantId, userId],
  };
}

/** Makes the oldest member the founder, owners first. */
export function replaceFounder(tenantId: string): Statement {
  return {
    name: 'membership_replace_founder',
    text: `update memberships set founder = true
            where tenant_id = $1 and user_id = (
              select user_id from memberships where tenant_id = $1
               order by role = 'owner' desc, created_at, user_id limit 1)`,
    values: [tenantId],
  };
}

/** The tenants of a person by their memberships; as the sign-in role, bound to the person. */
export function findTenantsOfMember(userId: string): Statement {
  return {
    name: 'places_of_person',
    text: 'select tenant_id from memberships where user_id = $1 order by tenant_id',
    values: [userId],
  };
}

/** The same on Citus, by a table that each server has. */
export function findUserTenants(userId: string): Statement {
  return {
    name: 'user_tenants_find',
    text: 'select tenant_id from user_tenants where user_id = $1 order by tenant_id',
    values: [userId],
  };
}

/** A membership as its person sees it. */
export interface OwnMembership extends Row {
  tenantId: string;
  role: string;
  status: MemberStatus;
  createdAt: Date;
  lastUsedAt: Date;
}

const OWN = `select tenant_id as "tenantId", role, status, created_at as "createdAt", last_used_at as "lastUsedAt" from memberships`;
const MAX_MEMBERSHIPS = 100;

/** A person's memberships, the last used one first; as the sign-in role, bound to the person. */
export function listOwnMemberships(userId: string, tenantIds: readonly string[] | null): Statement {
  return {
    name: 'places_last_used',
    text: `${OWN} where user_id = $1 and ($2::uuid[] is null or tenant_id = any($2))
            order by last_used_at desc, tenant_id desc limit $3`,
    values: [userId, tenantIds, MAX_MEMBERSHIPS],
  };
}

/** A person's membership in one tenant; as the sign-in role, bound to the person. */
export function findOwnMembership(userId: string, tenantId: string): Statement {
  return {
    name: 'place_find',
    text: `${OWN} where user_id = $1 and tenant_id = $2`,
    values: [userId, tenantId],
  };
}
