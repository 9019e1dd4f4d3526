import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Members have a status and a version, and tenants have roles of their own besides the four built-in ones. A role that
 * sees the members of one tenant reads a member's e-mail address and name; the role that serves requests still sees no
 * address.
 */
export class MembersAndRoles1765090000000 implements MigrationInterface {
  name = 'MembersAndRoles1765090000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      do $$ begin
        if to_regrole('app_members') is null then create role app_members nologin noinherit; end if;
      exception when duplicate_object or unique_violation then null; end $$
    `);
    await runner.query('grant usage on schema public to app_members');

    await runner.query(`
      alter table memberships
        add column status text not null default 'active',
        add column managed_by text not null default 'user',
        add column version integer not null default 1
    `);
    await runner.query('alter table memberships drop constraint memberships_role_check');
    await runner.query(`
      alter table memberships
        add constraint memberships_role_check check (role ~ '^[a-z][a-z0-9_-]{0,49}$') not valid
    `);
    await runner.query(`
      alter table memberships
        add constraint memberships_status_check check (status in ('active', 'suspended', 'unconfirmed')) not valid
    `);
    await runner.query(`
      alter table memberships
        add constraint memberships_managed_by_check check (managed_by in ('user', 'directory')) not valid
    `);
    await runner.query('grant select on memberships to app_members');
    await runner.query(`
      create policy memberships_for_members on memberships for select to app_members
        using (tenant_id = current_setting('app.tenant_id')::uuid)
    `);
    await runner.query('grant select (id, email, name) on users to app_members');
    await runner.query('create policy users_for_members on users for select to app_members using (true)');
    await runner.query('grant update (status, version), delete on memberships to app_sign_in');
    await runner.query(`
      create policy memberships_of_the_person on memberships for update to app_sign_in
        using (user_id = current_setting('app.user_id')::uuid)
        with check (user_id = current_setting('app.user_id')::uuid)
    `);
    await runner.query(`
      create policy memberships_left_by_the_person on memberships for delete to app_sign_in
        using (user_id = current_setting('app.user_id')::uuid)
    `);

    await runner.query(`
      create table roles (
        tenant_id uuid not null,
        name text not null,
        id uuid not null,
        description text,
        permissions text[] not null,
        version integer not null,
        created_at timestamptz not null,
        updated_at timestamptz not null,
        constraint roles_pkey primary key (tenant_id, name),
        constraint roles_id_key unique (tenant_id, id),
        constraint roles_tenant_id_fkey foreign key (tenant_id) references tenants (id),
        constraint roles_name_check check (name ~ '^[a-z][a-z0-9_-]{0,49}$'
          and name not in ('owner', 'admin', 'member', 'viewer'))
      )
    `);
    await runner.query('alter table roles enable row level security');
    await runner.query('alter table roles force row level security');
    await runner.query('grant select, insert, update, delete on roles to app_service');
    await runner.query(`
      create policy roles_of_the_tenant on roles to app_service
        using (tenant_id = current_setting('app.tenant_id')::uuid)
        with check (tenant_id = current_setting('app.tenant_id')::uuid)
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table roles');
    await runner.query('drop policy memberships_left_by_the_person on memberships');
    await runner.query('drop policy memberships_of_the_person on memberships');
    await runner.query('revoke update (status, version), delete on memberships from app_sign_in');
    await runner.query('drop policy users_for_members on users');
    await runner.query('revoke select (id, email, name) on users from app_members');
    await runner.query('drop policy memberships_for_members on memberships');
    await runner.query('revoke select on memberships from app_members');
    await runner.query('alter table memberships drop constraint memberships_role_check');
    await runner.query(`
      -- allow no-backfill-at-once: the release before knows the built-in roles alone
      update memberships set role = 'viewer' where role not in ('owner', 'admin', 'member', 'viewer')
    `);
    await runner.query(`
      alter table memberships
        add constraint memberships_role_check check (role in ('owner', 'admin', 'member', 'viewer')) not valid
    `);
    await runner.query('alter table memberships drop column status, drop column managed_by, drop column version');
    await runner.query('revoke usage on schema public from app_members');
  }
}
