import { Injectable, type OnModuleInit } from '@nestjs/common';
import { Config, ConfigError } from '../../../platform/config/config';
import { databaseClock } from '../../../platform/database/database-clock';
import { DispatcherDatabase } from '../../../platform/database/roles/dispatcher-database';
import { recordCount, recordedCount, type RecordedRow } from './shard-count.queries';

/**
 * Compares `WEBHOOK_SHARDS` with the number that the first worker has recorded in the database. Two workers with
 * different numbers would work for the same tenants.
 */
@Injectable()
export class ShardCount implements OnModuleInit {
  constructor(
    private readonly config: Config,
    private readonly database: DispatcherDatabase,
  ) {}

  async onModuleInit(): Promise<void> {
    try {
      await this.assertRecorded();
    } catch (error) {
      // The process ends without a shutdown.
      await this.database.close();
      throw error;
    }
  }

  /** @throws ConfigError that names both numbers and the command that changes the recorded one */
  async assertRecorded(): Promise<void> {
    const { WEBHOOK_SHARDS: count } = this.config;
    const recorded = (await this.recorded()) ?? (await this.record(count));
    if (recorded === count) return;
    throw new ConfigError([
      `WEBHOOK_SHARDS is ${count}, but the workers of this database use ${recorded}: set it to ${recorded}, or stop all workers ` +
        `and run admin shards set ${count}`,
    ]);
  }

  /** Of two workers that record a number at once, one succeeds; both read it. */
  private async record(count: number): Promise<number | undefined> {
    await this.database.write(recordCount(count));
    return this.recorded();
  }

  private async recorded(): Promise<number | undefined> {
    const asked = performance.now();
    const [row] = await this.database.query<RecordedRow>(recordedCount());
    // Before the first job is taken, whose lock ends at a time of the database.
    databaseClock.observe(row?.time, asked, performance.now());
    return row?.count ?? undefined;
  }
}
