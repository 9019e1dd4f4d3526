/**
 * The worker's half of the company. The elected leader *erases* a closed tenant 30 days after its closing; and the
 * worker determines the members who get a notice: addresses are read when the notice is sent, so that a request does
 * not wait for them. Invariants: nothing of an open tenant is deleted, and an interrupted erasure continues.
 */
import { type DynamicModule, Module } from '@nestjs/common';
import { EraserDatabase } from '../platform/database/roles/eraser-database';
import { MembersDatabase } from '../platform/database/roles/members-database';
import type { TenantTable } from '../platform/database/sql/tables';
import { LeaderTasks, LeaderTasksModule } from '../platform/leader-election/leader-tasks';
import { TenantErasure } from './erasure/tenant-erasure';
import { MailAudiences } from './members/mail-audiences';
import { TENANT_TABLES } from './tenant-tables';
import { HooksModule } from '../platform/hooks/hooks.module';
import './tenants.permissions';

const ERASURE_INTERVAL_MS = 60_000;

@Module({})
export class TenantsWorkerModule {
  constructor(tasks: LeaderTasks, erasure: TenantErasure) {
    tasks.add({ intervalMs: ERASURE_INTERVAL_MS, run: () => erasure.run() });
  }

  static forRoot(tables: readonly TenantTable[]): DynamicModule {
    return {
      module: TenantsWorkerModule,
      imports: [HooksModule, LeaderTasksModule],
      providers: [
        EraserDatabase,
        MailAudiences,
        MembersDatabase,
        TenantErasure,
        { provide: TENANT_TABLES, useValue: tables },
      ],
    };
  }
}
