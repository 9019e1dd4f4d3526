import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * How many endpoints did not want an event, where they are more than have a row: an event of a tenant with a thousand
 * endpoints made a thousand rows. Null where each of them has one.
 */
export class FilteredCount1765050120000 implements MigrationInterface {
  name = 'FilteredCount1765050120000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('alter table events add column filtered_count integer');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('alter table events drop column filtered_count');
  }
}
