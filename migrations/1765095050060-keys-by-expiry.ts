import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Finds the API keys that expire soon and whose members have no notice yet. */
export class KeysByExpiry1765095050060 implements MigrationInterface {
  name = 'KeysByExpiry1765095050060';
  readonly transaction = false;

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('set lock_timeout = 0');
    await runner.query(
      `create index concurrently if not exists api_keys_expiry_idx on api_keys (expires_at)
         where expires_at is not null and notified_at is null`,
    );
    await runner.query('reset lock_timeout');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('set lock_timeout = 0');
    await runner.query('drop index concurrently if exists api_keys_expiry_idx');
    await runner.query('reset lock_timeout');
  }
}
