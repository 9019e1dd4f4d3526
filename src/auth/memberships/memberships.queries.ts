/** A person's memberships, as the sign-in role that is bound to the person. */
import type { Row, Statement } from '../../platform/database/sql/statement';

export interface MembershipRow extends Row {
  tenant_id: string;
  role: string;
  status: 'active' | 'suspended' | 'unconfirmed';
  last_used_at: Date;
}

export function listMemberships(
  userId: string,
  tenantIds: readonly string[] | null,
  afterId: string | undefined,
  limit: number,
): Statement {
  return {
    name: 'places_list',
    text: `select tenant_id, role, status, last_used_at from memberships
            where user_id = $1 and tenant_id < $2 and ($4::uuid[] is null or tenant_id = any($4))
            order by tenant_id desc limit $3`,
    values: [userId, afterId ?? 'ffffffff-ffff-ffff-ffff-ffffffffffff', limit, tenantIds],
  };
}

/** Confirms an unconfirmed membership; returns a row for one. */
export function confirmMembership(userId: string, tenantId: string): Statement {
  return {
    name: 'place_confirm',
    text: `update memberships set status = 'active', version = version + 1
            where user_id = $1 and tenant_id = $2 and status = 'unconfirmed' returning tenant_id`,
    values: [userId, tenantId],
  };
}

/** Counts the tenants that a person created within a day; no row at the limit. */
export function countNewTenant(userId: string, most: number, now: Date): Statement {
  return {
    name: 'tenants_count_new',
    text: `insert into sign_in_failures as f (key, failures, window_started_at, expires_at)
           values ('tenants:' || $1::text, 1, $2, $3)
           on conflict (key) do update set
             failures = case when f.expires_at <= $2 then 1 else f.failures + 1 end,
             window_started_at = case when f.expires_at <= $2 then $2 else f.window_started_at end,
             expires_at = case when f.expires_at <= $2 then $3 else f.expires_at end
           where f.expires_at <= $2 or f.failures < $4
           returning failures`,
    values: [userId, now, new Date(now.getTime() + 24 * 60 * 60_000), most],
  };
}

/** Members of a tenant; within it. */
export function countOtherMembers(tenantId: string): Statement {
  return {
    name: 'place_other_members',
    text: 'select greatest(count(*) - 1, 0)::int as count from memberships where tenant_id = $1',
    values: [tenantId],
  };
}
