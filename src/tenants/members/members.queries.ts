/** Members with their names and addresses; all of these run as the role that sees those columns. */
import { columnsOf, type RowOf } from '../../platform/database/columns';
import type { Statement } from '../../platform/database/sql/statement';
import { Membership } from '../membership.entity';

/** A membership with the name and the address of its person. */
export type MemberRow = RowOf<Membership> & {
  email: string;
  name: string | null;
};

/** The filters of the list. */
export interface MemberFilter {
  role?: string;
  status?: string;
  /** The beginning of a name or an address, in either case. */
  q?: string;
}

const COLUMNS = `${columnsOf(Membership, 'm')}, u.email, u.name`;
const MEMBERS = `from memberships m join users u on u.id = m.user_id where m.tenant_id = $1`;

export function findMember(tenantId: string, userId: string): Statement {
  return { name: 'member_find', text: `select ${COLUMNS} ${MEMBERS} and m.user_id = $2`, values: [tenantId, userId] };
}

/** A page of members, the newest accounts first. */
export function listMemberPage(
  tenantId: string,
  filter: MemberFilter,
  afterId: string | undefined,
  limit: number,
): Statement {
  return {
    name: 'members_page',
    text: `select ${COLUMNS} ${MEMBERS}
              and ($2::uuid is null or m.user_id < $2)
              and ($3::text is null or m.role = $3) and ($4::text is null or m.status = $4)
              and ($5::text is null or starts_with(lower(u.email), lower($5)) or starts_with(lower(u.name), lower($5)))
            order by m.user_id desc limit $6`,
    values: [tenantId, afterId ?? null, filter.role ?? null, filter.status ?? null, filter.q ?? null, limit],
  };
}

/** A member of the tenant with this address, by the key of addresses. */
export function findMemberByEmail(tenantId: string, emailKey: string): Statement {
  return {
    name: 'member_find_by_email',
    text: `select m.user_id ${MEMBERS} and u.email_key = $2 limit 1`,
    values: [tenantId, emailKey],
  };
}

/** The addresses of the members with one of these roles: for notices. */
export function findMembersWithRole(tenantId: string, roles: readonly string[], limit: number): Statement {
  return {
    name: 'members_with_role',
    text: `select ${COLUMNS} ${MEMBERS} and m.role = any ($2) and m.status = 'active' order by m.user_id limit $3`,
    values: [tenantId, roles, limit],
  };
}
