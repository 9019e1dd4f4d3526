import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Epochs: a counter per tenant (under the zero id) and per person in a tenant, raised in the transaction of a change
 * that affects credentials. Every process compares the counters of its live credentials in one statement a second, as a
 * role that sees nothing else. A person's account sessions count under the person's own id.
 */
export class TenantAuthState1765070120000 implements MigrationInterface {
  name = 'TenantAuthState1765070120000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      do $$ begin
        if to_regrole('app_epochs') is null then create role app_epochs nologin noinherit; end if;
      exception when duplicate_object or unique_violation then null; end $$
    `);
    await runner.query('grant usage on schema public to app_epochs');
    await runner.query(`
      create table tenant_auth_state (
        tenant_id uuid not null,
        user_id uuid not null,
        epoch integer not null,
        constraint tenant_auth_state_pkey primary key (tenant_id, user_id)
      )
    `);
    await runner.query('alter table tenant_auth_state enable row level security');
    await runner.query('alter table tenant_auth_state force row level security');
    await runner.query('grant select, insert, update, delete on tenant_auth_state to app_service');
    await runner.query(`
      create policy tenant_auth_state_of_the_tenant on tenant_auth_state to app_service
        using (tenant_id = current_setting('app.tenant_id')::uuid)
        with check (tenant_id = current_setting('app.tenant_id')::uuid)
    `);
    await runner.query('grant select, insert, update on tenant_auth_state to app_sign_in');
    await runner.query(`
      create policy tenant_auth_state_of_the_person on tenant_auth_state to app_sign_in
        using (user_id = current_setting('app.user_id')::uuid)
        with check (user_id = current_setting('app.user_id')::uuid)
    `);
    await runner.query('grant select, insert, update on tenant_auth_state to app_operator');
    await runner.query(`
      create policy tenant_auth_state_of_the_operator on tenant_auth_state to app_operator
        using (true) with check (true)
    `);
    await runner.query('grant select on tenant_auth_state to app_epochs');
    await runner.query(
      'create policy tenant_auth_state_to_compare on tenant_auth_state for select to app_epochs using (true)',
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table tenant_auth_state');
    await runner.query('revoke usage on schema public from app_epochs');
  }
}
