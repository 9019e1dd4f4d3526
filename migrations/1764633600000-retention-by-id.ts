import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Smaller than every id of the last day, whose first 48 bits are a time: younger rows must not be deleted. */
const A_DAY_AGO = `(lpad(to_hex((extract(epoch from now() - interval '1 day') * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid`;

/**
 * Deliveries and attempts without foreign keys: checking them locks the parent's row, a seventh of PostgreSQL's work
 * for a delivery. Other rules replace them (ADR 0034), and the retention job now deletes from each table by the time in
 * its ids.
 */
export class RetentionById1764633600000 implements MigrationInterface {
  name = 'RetentionById1764633600000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- allow no-table-lock: both keys lock their parents as well; in the order in which the service comes by, nobody waits in a circle
      lock table events, deliveries, delivery_attempts in access exclusive mode
    `);
    await runner.query('alter table delivery_attempts drop constraint delivery_attempts_delivery_fkey');
    await runner.query('alter table deliveries drop constraint deliveries_event_fkey');
    await runner.query('grant delete, select (tenant_id, id) on deliveries to app_janitor');
    await runner.query(`create policy deliveries_expired on deliveries to app_janitor using (id < ${A_DAY_AGO})`);
    await runner.query('grant delete, select (tenant_id, delivery_id, number) on delivery_attempts to app_janitor');
    await runner.query(
      `create policy delivery_attempts_expired on delivery_attempts to app_janitor using (delivery_id < ${A_DAY_AGO})`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop policy delivery_attempts_expired on delivery_attempts');
    await runner.query('revoke delete, select (tenant_id, delivery_id, number) on delivery_attempts from app_janitor');
    await runner.query('drop policy deliveries_expired on deliveries');
    await runner.query('revoke delete, select (tenant_id, id) on deliveries from app_janitor');
    await runner.query(`
      alter table deliveries add constraint deliveries_event_fkey foreign key (tenant_id, event_id)
        references events (tenant_id, id) on delete cascade not valid
    `);
    await runner.query(`
      alter table delivery_attempts add constraint delivery_attempts_delivery_fkey foreign key (tenant_id, delivery_id)
        references deliveries (tenant_id, id) on delete cascade not valid
    `);
  }
}
