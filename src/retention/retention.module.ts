/**
 * Deleting expired rows. Nouns: a *rule* names a table, its key, the column of time and the period, and belongs to the
 * feature that owns the table; the *job* deletes in small batches, run by the elected leader each minute and by the
 * operator's command `prune`.
 *
 * Invariants: the job's role sees expired rows only and may only delete them; a batch is small enough that
 * no request waits for it; after an interrupted run the next one finds the rest.
 */
import { type DynamicModule, Module } from '@nestjs/common';
import { RetentionDatabase } from '../platform/database/roles/retention-database';
import type { RetentionRule } from '../platform/database/sql/tables';
import { LeaderTasks, LeaderTasksModule } from '../platform/leader-election/leader-tasks';
import { RETENTION_RULES, RetentionJob } from './retention-job';

const INTERVAL_MS = 60_000;

/** The job with the rules of all features. */
@Module({})
export class RetentionModule {
  static forRoot(rules: readonly RetentionRule[]): DynamicModule {
    return {
      module: RetentionModule,
      providers: [RetentionJob, RetentionDatabase, { provide: RETENTION_RULES, useValue: rules }],
      exports: [RetentionJob],
    };
  }
}

/** For the worker: the leader runs the job each minute. */
@Module({})
export class RetentionWorkerModule {
  constructor(tasks: LeaderTasks, job: RetentionJob) {
    tasks.add({ intervalMs: INTERVAL_MS, run: () => job.run() });
  }

  static forRoot(rules: readonly RetentionRule[]): DynamicModule {
    return { module: RetentionWorkerModule, imports: [LeaderTasksModule, RetentionModule.forRoot(rules)] };
  }
}
