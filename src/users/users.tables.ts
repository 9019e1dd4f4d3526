import type { PersonTable, Placements } from '../platform/database/sql/tables';

export const USERS_PLACEMENTS: Placements = { users: 'reference' };

export const USERS_PERSON_TABLES: readonly PersonTable[] = [{ table: 'users', column: 'id' }];
