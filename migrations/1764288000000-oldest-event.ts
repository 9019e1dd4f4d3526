import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Allows the relay's role to read the ids of events in the outbox: the time in the oldest one is the lag of the relay.
 */
export class OldestEvent1764288000000 implements MigrationInterface {
  name = 'OldestEvent1764288000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('grant select (event_id) on outbox to app_relay');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('revoke select (event_id) on outbox from app_relay');
  }
}
