import { archivedOf } from '../platform/database/columns';
import type { Placements, TenantTable } from '../platform/database/sql/tables';
import { DemoThing } from './demo-thing.entity';

export const DEMO_THINGS_PLACEMENTS: Placements = { demo_things: 'distributed' };

export const DEMO_THINGS_TENANT_TABLES: readonly TenantTable[] = [
  {
    table: 'demo_things',
    key: { id: 'uuid' },
    archived: archivedOf(DemoThing),
    omitted: [],
  },
];
