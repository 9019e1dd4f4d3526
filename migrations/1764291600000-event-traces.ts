import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The trace of an event, as a W3C `traceparent`, so that its fan-out, deliveries and retries days later belong to the
 * same trace. Null without tracing; receivers never see the column.
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
