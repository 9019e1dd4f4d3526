import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The consent of an endpoint's receiver, and the challenge that it must respond to. Receivers of existing endpoints
 * have consented, since they already get events.
 */
export class EndpointConsent1765050060000 implements MigrationInterface {
  name = 'EndpointConsent1765050060000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`alter table webhook_endpoints add column consent text not null default 'given'`);
    await runner.query('alter table webhook_endpoints add column challenge text');
    await runner.query(`
      alter table webhook_endpoints
        add constraint webhook_endpoints_consent_check check (consent in ('given', 'pending')) not valid
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('alter table webhook_endpoints drop constraint webhook_endpoints_consent_check');
    await runner.query('alter table webhook_endpoints drop column challenge');
    await runner.query('alter table webhook_endpoints drop column consent');
  }
}
