/**
 * The worker's half of the tenants: what the elected leader does for them. A closed tenant is *erased* 30 days after
 * its closing; what must always hold: nothing of an open tenant is deleted, and an interrupted erasure goes on.
 */
import { type DynamicModule, Module } from '@nestjs/common';
import { EraserDatabase } from '../platform/database/roles/eraser-database';
import type { TenantTable } from '../platform/database/sql/tables';
import { LeaderTasks } from '../platform/leader-election/leader-tasks';
import { TenantErasure } from './erasure/tenant-erasure';
import { TENANT_TABLES } from './tenant-tables';

const ERASURE_INTERVAL_MS = 60_000;

@Module({})
export class TenantsWorkerModule {
  constructor(tasks: LeaderTasks, erasure: TenantErasure) {
    tasks.add({ intervalMs: ERASURE_INTERVAL_MS, run: () => erasure.run() });
  }

  static forRoot(tables: readonly TenantTable[]): DynamicModule {
    return {
      module: TenantsWorkerModule,
      providers: [EraserDatabase, TenantErasure, { provide: TENANT_TABLES, useValue: tables }],
    };
  }
}
