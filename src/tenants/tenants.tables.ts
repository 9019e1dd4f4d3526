import type { Placements, RetentionRule } from '../platform/database/sql/tables';

export const TENANTS_PLACEMENTS: Placements = {
  tenants: 'reference',
  memberships: 'distributed',
  roles: 'distributed',
  invitations: 'distributed',
};

const EXPIRED_INVITATIONS_MS = 30 * 24 * 60 * 60 * 1000;

/** An expired invitation can be sent again for 30 days. */
export const TENANTS_RETENTION: readonly RetentionRule[] = [
  { table: 'invitations', key: 'tenant_id, id', column: 'expires_at', period: () => EXPIRED_INVITATIONS_MS },
];
