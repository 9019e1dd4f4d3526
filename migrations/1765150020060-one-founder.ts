import type { MigrationInterface, QueryRunner } from 'typeorm';

/** A tenant has one founder. */
export class OneFounder1765150020060 implements MigrationInterface {
  name = 'OneFounder1765150020060';
  readonly transaction = false;

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('set lock_timeout = 0');
    await runner.query(
      'create unique index concurrently if not exists memberships_founder_key on memberships (tenant_id) where founder',
    );
    await runner.query('reset lock_timeout');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('set lock_timeout = 0');
    await runner.query('drop index concurrently if exists memberships_founder_key');
    await runner.query('reset lock_timeout');
  }
}
