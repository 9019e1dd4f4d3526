import type { Placements } from '../platform/database/sql/tables';

export const USERS_PLACEMENTS: Placements = { users: 'reference' };
