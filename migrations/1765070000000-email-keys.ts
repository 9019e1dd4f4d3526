import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The key that makes an address one account. The application computes it (`src/platform/net/email-key.ts`), since
 * PostgreSQL's lower case depends on the database's locale. Expand step: the column may be null while the previous
 * release writes; `migrate` fills it in small batches and lists collisions. Older accounts count as verified.
 */
export class EmailKeys1765070000000 implements MigrationInterface {
  name = 'EmailKeys1765070000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter table users
        add column email_key text,
        add column email_verified_at timestamptz default now(),
        add column erase_at timestamptz
    `);
    await runner.query('alter table users alter column email_verified_at drop default');
    await runner.query(`
      -- squawk-ignore require-concurrent-index-creation
      create unique index users_email_key_unique on users (email_key)
    `);
    await runner.query('grant update, delete on users to app_sign_in');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('revoke update, delete on users from app_sign_in');
    await runner.query('drop index users_email_key_unique');
    await runner.query('alter table users drop column email_key, drop column email_verified_at, drop column erase_at');
  }
}
