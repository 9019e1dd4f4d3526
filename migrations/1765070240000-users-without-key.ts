import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Finds the users without a key: those of the previous release. Empty after the backfill. */
export class UsersWithoutKey1765070240000 implements MigrationInterface {
  name = 'UsersWithoutKey1765070240000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- squawk-ignore require-concurrent-index-creation
      create index users_without_key_idx on users (id) where email_key is null;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop index users_without_key_idx');
  }
}
