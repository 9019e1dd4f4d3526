import type { Placements, TenantTable } from '../platform/database/sql/tables';

export const DEMO_THINGS_PLACEMENTS: Placements = { demo_things: 'distributed' };

export const DEMO_THINGS_TENANT_TABLES: readonly TenantTable[] = [
  {
    table: 'demo_things',
    key: { id: 'uuid' },
    archived: ['id', 'name', 'notes', 'version', 'created_at', 'updated_at'],
    omitted: [],
  },
];
