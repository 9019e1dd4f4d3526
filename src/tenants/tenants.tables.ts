import type { Placements } from '../platform/database/sql/tables';

export const TENANTS_PLACEMENTS: Placements = {
  tenants: 'reference',
  memberships: 'distributed',
  roles: 'distributed',
  invitations: 'distributed',
};
