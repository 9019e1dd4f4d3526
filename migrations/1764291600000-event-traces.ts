import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The trace that an event belongs to, as a W3C `traceparent`, so that what becomes of it (fan-out, deliveries, retries
 * days later) belongs to the same one. Null where nobody traces; receivers never see the column.
 */
export class EventTraces1764291600000 implements MigrationInterface {
  name = 'EventTraces1764291600000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('alter table events add column traceparent text');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('alter table events drop column traceparent');
  }
}
