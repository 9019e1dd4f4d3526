import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * A notice to the members of a tenant waits as one mail, which the worker makes into one for each of them. A narrow
 * role finds the API keys that expire soon, of every tenant.
 */
export class NoticesToMembers1765095050000 implements MigrationInterface {
  name = 'NoticesToMembers1765095050000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      do $$ begin
        if to_regrole('app_key_expiry') is null then create role app_key_expiry nologin noinherit; end if;
      exception when duplicate_object or unique_violation then null; end $$
    `);
    await runner.query('grant usage on schema public to app_key_expiry');
    await runner.query(
      'grant select (tenant_id, id, created_at, expires_at, notified_at) on api_keys to app_key_expiry',
    );
    await runner.query(`
      create policy api_keys_that_expire on api_keys for select to app_key_expiry
        using (expires_at is not null and notified_at is null)
    `);
    await runner.query('grant insert on mail_outbox to app_mail');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('revoke insert on mail_outbox from app_mail');
    await runner.query('drop policy api_keys_that_expire on api_keys');
    await runner.query(
      'revoke select (tenant_id, id, created_at, expires_at, notified_at) on api_keys from app_key_expiry',
    );
    await runner.query('revoke usage on schema public from app_key_expiry');
  }
}
