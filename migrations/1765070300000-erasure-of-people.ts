import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Finds the persons whose erasure is due, and allows the sign-in role to delete the sessions of one. */
export class ErasureOfPeople1765070300000 implements MigrationInterface {
  name = 'ErasureOfPeople1765070300000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- squawk-ignore require-concurrent-index-creation
      create index users_erase_at_idx on users (erase_at) where erase_at is not null
    `);
    await runner.query('grant delete on sessions to app_sign_in');
    await runner.query('grant delete on one_time_tokens to app_sign_in');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('revoke delete on one_time_tokens from app_sign_in');
    await runner.query('revoke delete on sessions from app_sign_in');
    await runner.query('drop index users_erase_at_idx');
  }
}
