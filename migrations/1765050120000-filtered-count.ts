import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The number of endpoints that filtered an event, if more than have a row: an event of a tenant with a thousand
 * endpoints made a thousand rows. Null if each of them has one.
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
