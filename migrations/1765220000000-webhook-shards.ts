import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The number of shards among which webhook workers divide the tenants: one row, written by the first worker. Workers
 * with different numbers would work for the same tenants.
 */
export class WebhookShards1765220000000 implements MigrationInterface {
  name = 'WebhookShards1765220000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table webhook_shards (
        only_row boolean not null default true,
        count integer not null,
        constraint webhook_shards_pkey primary key (only_row),
        constraint webhook_shards_only_row_check check (only_row),
        constraint webhook_shards_count_check check (count between 1 and 256)
      )
    `);
    await runner.query('alter table webhook_shards enable row level security');
    await runner.query('alter table webhook_shards force row level security');
    await runner.query('grant select, insert on webhook_shards to app_dispatcher');
    await runner.query('grant select, insert, update (count) on webhook_shards to app_operator');
    await runner.query(`
      create policy webhook_shards_of_workers on webhook_shards to app_dispatcher using (true) with check (true)
    `);
    await runner.query(`
      create policy webhook_shards_of_the_operator on webhook_shards to app_operator using (true) with check (true)
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table webhook_shards');
  }
}
