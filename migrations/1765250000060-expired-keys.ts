import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The role that finds keys by their ends also finds those that ended long ago, which are deleted then. */
export class ExpiredKeys1765250000060 implements MigrationInterface {
  name = 'ExpiredKeys1765250000060';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter policy api_keys_that_expire on api_keys
        using (expires_at is not null and (notified_at is null or expires_at < now() - interval '90 days'));
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter policy api_keys_that_expire on api_keys using (expires_at is not null and notified_at is null);
    `);
  }
}
