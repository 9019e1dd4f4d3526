import type { MigrationInterface, QueryRunner } from 'typeorm';

/** One index for the keys that expire soon and for those that expired long ago. */
export class KeysByEnd1765250000120 implements MigrationInterface {
  name = 'KeysByEnd1765250000120';
  readonly transaction = false;

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('set lock_timeout = 0');
    await runner.query(
      'create index concurrently if not exists api_keys_end_idx on api_keys (expires_at) where expires_at is not null',
    );
    await runner.query('drop index concurrently if exists api_keys_expiry_idx');
    await runner.query('reset lock_timeout');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('set lock_timeout = 0');
    await runner.query(
      `create index concurrently if not exists api_keys_expiry_idx on api_keys (expires_at)
         where expires_at is not null and notified_at is null`,
    );
    await runner.query('drop index concurrently if exists api_keys_end_idx');
    await runner.query('reset lock_timeout');
  }
}
