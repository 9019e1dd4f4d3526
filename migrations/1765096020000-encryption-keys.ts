import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * One encrypted value of each key that a process encrypts with. A process compares its keys with them when it starts,
 * so that a changed key ends it, and does not leave secrets that nothing can decrypt. The role reads webhook secrets
 * and the secrets of authenticator apps as well: an older release has encrypted without recording its key.
 */
export class EncryptionKeys1765096020000 implements MigrationInterface {
  name = 'EncryptionKeys1765096020000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      do $$ begin
        if to_regrole('app_keys') is null then create role app_keys nologin noinherit; end if;
      exception when duplicate_object or unique_violation then null; end $$
    `);
    await runner.query('grant usage on schema public to app_keys');
    await runner.query(`
      create table encryption_keys (
        kid text not null,
        encrypted text not null,
        created_at timestamptz not null,
        constraint encryption_keys_pkey primary key (kid)
      )
    `);
    await runner.query('alter table encryption_keys enable row level security');
    await runner.query('alter table encryption_keys force row level security');
    await runner.query('grant select, insert, update, delete on encryption_keys to app_keys');
    await runner.query(
      'create policy encryption_keys_to_compare on encryption_keys to app_keys using (true) with check (true)',
    );
    await runner.query('grant select (tenant_id, id, secret) on webhook_endpoints to app_keys');
    await runner.query(
      'create policy webhook_endpoints_to_compare on webhook_endpoints for select to app_keys using (true)',
    );
    await runner.query('grant select (user_id, secret) on totp_factors to app_keys');
    await runner.query('create policy totp_factors_to_compare on totp_factors for select to app_keys using (true)');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop policy totp_factors_to_compare on totp_factors');
    await runner.query('revoke select (user_id, secret) on totp_factors from app_keys');
    await runner.query('drop policy webhook_endpoints_to_compare on webhook_endpoints');
    await runner.query('revoke select (tenant_id, id, secret) on webhook_endpoints from app_keys');
    await runner.query('drop table encryption_keys');
    await runner.query('revoke usage on schema public from app_keys');
  }
}
