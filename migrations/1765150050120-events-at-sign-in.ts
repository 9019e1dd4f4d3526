import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Sessions that end in several tenants at once emit their events in the transaction of the change, as the sign-in role.
 */
export class EventsAtSignIn1765150050120 implements MigrationInterface {
  name = 'EventsAtSignIn1765150050120';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('grant insert on events, outbox to app_sign_in');
    await runner.query('create policy events_at_sign_in on events for insert to app_sign_in with check (true)');
    await runner.query('create policy outbox_at_sign_in on outbox for insert to app_sign_in with check (true)');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop policy outbox_at_sign_in on outbox');
    await runner.query('drop policy events_at_sign_in on events');
    await runner.query('revoke insert on events, outbox from app_sign_in');
  }
}
