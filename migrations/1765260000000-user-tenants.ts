import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The tenants of each person: on Citus a copy on every server, by which a sign-in asks the servers of the person's
 * tenants alone. It is written with `memberships`, and grants nothing: a membership is always read from its own table.
 * `migrate` fills it in when it distributes the table; nothing reads it before.
 */
export class UserTenants1765260000000 implements MigrationInterface {
  name = 'UserTenants1765260000000';

  async up(runner: QueryRunner): Promise<void> {
    // Without foreign keys: to write a reference table with one, Citus demands the right to write `users` as well.
    await runner.query(`
      create table user_tenants (
        tenant_id uuid not null,
        user_id uuid not null,
        constraint user_tenants_pkey primary key (tenant_id, user_id)
      )
    `);
    await runner.query('create index user_tenants_user_id_idx on user_tenants (user_id)');
    await runner.query('alter table user_tenants enable row level security');
    await runner.query('alter table user_tenants force row level security');
    await runner.query('grant select, insert, delete on user_tenants to app_service');
    await runner.query(`
      create policy user_tenants_of_the_tenant on user_tenants to app_service
        using (tenant_id = current_setting('app.tenant_id')::uuid)
        with check (tenant_id = current_setting('app.tenant_id')::uuid)
    `);
    await runner.query('grant select, insert, delete on user_tenants to app_sign_in');
    await runner.query(`
      create policy user_tenants_at_sign_in on user_tenants for select to app_sign_in
        using (user_id = current_setting('app.user_id')::uuid)
    `);
    await runner.query(`
      create policy user_tenants_at_registration on user_tenants for insert to app_sign_in
        with check (tenant_id = current_setting('app.tenant_id')::uuid)
    `);
    await runner.query(`
      create policy user_tenants_left_by_the_person on user_tenants for delete to app_sign_in
        using (user_id = current_setting('app.user_id')::uuid)
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table user_tenants');
  }
}
