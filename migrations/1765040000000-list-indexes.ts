import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * An index for each documented filter of the lists, and the order in which an event shows its deliveries: without them
 * a rare type reads a tenant's whole log, and each event of a page sorts all its deliveries.
 */
export class ListIndexes1765040000000 implements MigrationInterface {
  name = 'ListIndexes1765040000000';
  readonly transaction = false;

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('set lock_timeout = 0');
    await runner.query('create index concurrently if not exists events_type_idx on events (tenant_id, type, id)');
    await runner.query(
      'create index concurrently if not exists deliveries_type_idx on deliveries (tenant_id, event_type, id)',
    );
    await runner.query(
      `create index concurrently if not exists deliveries_event_order_idx
         on deliveries (tenant_id, event_id, (status = 'filtered'), id)`,
    );
    await runner.query('drop index concurrently if exists deliveries_event_idx');
    await runner.query('reset lock_timeout');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('set lock_timeout = 0');
    await runner.query(
      'create index concurrently if not exists deliveries_event_idx on deliveries (tenant_id, event_id)',
    );
    await runner.query('drop index concurrently if exists deliveries_event_order_idx');
    await runner.query('drop index concurrently if exists deliveries_type_idx');
    await runner.query('drop index concurrently if exists events_type_idx');
    await runner.query('reset lock_timeout');
  }
}
