import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Whether the receiver of an endpoint has agreed to be one, and the challenge that it has to answer. Endpoints that
 * exist have agreed by what they receive already.
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
