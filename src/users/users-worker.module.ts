/**
 * The worker's half of the persons. A person who requested it is *erased* after 30 days. Invariants: an account that
 * was restored meanwhile stays, and only ids of an erased person remain.
 */
import { type DynamicModule, Module } from '@nestjs/common';
import { SignInDatabase } from '../platform/database/roles/sign-in-database';
import type { PersonTable } from '../platform/database/sql/tables';
import { LeaderTasks, LeaderTasksModule } from '../platform/leader-election/leader-tasks';
import { ErasureJob, PERSON_TABLES } from './erasure';
import { HooksModule } from '../platform/hooks/hooks.module';

const ERASURE_INTERVAL_MS = 60_000;

@Module({})
export class UsersWorkerModule {
  constructor(tasks: LeaderTasks, erasure: ErasureJob) {
    tasks.add({ intervalMs: ERASURE_INTERVAL_MS, run: async () => void (await erasure.run()) });
  }

  static forRoot(tables: readonly PersonTable[]): DynamicModule {
    return {
      module: UsersWorkerModule,
      imports: [HooksModule, LeaderTasksModule],
      providers: [ErasureJob, SignInDatabase, { provide: PERSON_TABLES, useValue: tables }],
    };
  }
}
