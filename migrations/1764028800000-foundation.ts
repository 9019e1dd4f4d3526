import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Tenants, users, memberships, sessions. Roles belong to the whole server: missing ones are created, and none is
 * dropped. Every table with a `tenant_id` has forced row-level security, and one bare policy for the role that serves
 * requests: `current_setting('app.tenant_id')` fails without a tenant.
 */
export class Foundation1764028800000 implements MigrationInterface {
  name = 'Foundation1764028800000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      do $$ begin
        if to_regrole('app_service') is null then create role app_service nologin noinherit; end if;
      exception when duplicate_object or unique_violation then null; end $$
    `);
    await runner.query(`
      do $$ begin
        if to_regrole('app_sign_in') is null then create role app_sign_in nologin noinherit; end if;
      exception when duplicate_object or unique_violation then null; end $$
    `);
    await runner.query(`
      do $$ begin
        if to_regrole('app_janitor') is null then create role app_janitor nologin noinherit; end if;
      exception when duplicate_object or unique_violation then null; end $$
    `);
    await runner.query('grant usage on schema public to app_service, app_sign_in, app_janitor');

    await runner.query(`
      create table tenants (
        id uuid not null,
        name text not null,
        created_at timestamptz not null,
        suspended_at timestamptz,
        constraint tenants_pkey primary key (id)
      )
    `);
    await runner.query('alter table tenants enable row level security');
    await runner.query('alter table tenants force row level security');
    await runner.query('grant select on tenants to app_service');
    await runner.query('grant select, insert on tenants to app_sign_in');
    await runner.query(`
      create policy tenants_of_the_tenant on tenants for select to app_service
        using (id = current_setting('app.tenant_id')::uuid)
    `);
    await runner.query(`
      create policy tenants_at_sign_in on tenants to app_sign_in
        using (id = current_setting('app.tenant_id')::uuid)
        with check (id = current_setting('app.tenant_id')::uuid)
    `);

    await runner.query(`
      create table users (
        id uuid not null,
        email text not null,
        name text,
        password_hash text not null,
        created_at timestamptz not null,
        constraint users_pkey primary key (id)
      )
    `);
    await runner.query('create unique index users_email_key on users (lower(email))');
    await runner.query('alter table users enable row level security');
    await runner.query('alter table users force row level security');
    await runner.query('grant select, insert on users to app_sign_in');
    await runner.query('create policy users_at_sign_in on users to app_sign_in using (true) with check (true)');

    await runner.query(`
      create table memberships (
        tenant_id uuid not null,
        user_id uuid not null,
        role text not null,
        created_at timestamptz not null,
        last_used_at timestamptz not null,
        constraint memberships_pkey primary key (tenant_id, user_id),
        constraint memberships_tenant_id_fkey foreign key (tenant_id) references tenants (id),
        constraint memberships_user_id_fkey foreign key (user_id) references users (id),
        constraint memberships_role_check check (role in ('owner', 'admin', 'member', 'viewer'))
      )
    `);
    await runner.query('create index memberships_user_id_idx on memberships (user_id)');
    await runner.query('alter table memberships enable row level security');
    await runner.query('alter table memberships force row level security');
    await runner.query('grant select, insert, update, delete on memberships to app_service');
    await runner.query('grant select, insert on memberships to app_sign_in');
    await runner.query(`
      create policy memberships_of_the_tenant on memberships to app_service
        using (tenant_id = current_setting('app.tenant_id')::uuid)
        with check (tenant_id = current_setting('app.tenant_id')::uuid)
    `);
    await runner.query(`
      create policy memberships_at_sign_in on memberships for select to app_sign_in
        using (user_id = current_setting('app.user_id')::uuid)
    `);
    await runner.query(`
      create policy memberships_at_registration on memberships for insert to app_sign_in
        with check (tenant_id = current_setting('app.tenant_id')::uuid)
    `);

    await runner.query(`
      create table sessions (
        tenant_id uuid not null,
        id uuid not null,
        user_id uuid not null,
        created_at timestamptz not null,
        expires_at timestamptz not null,
        revoked_at timestamptz,
        constraint sessions_pkey primary key (tenant_id, id),
        constraint sessions_membership_fkey foreign key (tenant_id, user_id)
          references memberships (tenant_id, user_id) on delete cascade
      )
    `);
    await runner.query('create index sessions_user_idx on sessions (tenant_id, user_id)');
    await runner.query('create index sessions_expires_at_idx on sessions (expires_at)');
    await runner.query('alter table sessions enable row level security');
    await runner.query('alter table sessions force row level security');
    await runner.query('grant select, insert, update, delete on sessions to app_service');
    await runner.query('grant select, delete on sessions to app_janitor');
    await runner.query(`
      create policy sessions_of_the_tenant on sessions to app_service
        using (tenant_id = current_setting('app.tenant_id')::uuid)
        with check (tenant_id = current_setting('app.tenant_id')::uuid)
    `);
    await runner.query('create policy sessions_expired on sessions to app_janitor using (expires_at < now())');
    await runner.query(`
      create table refresh_tokens (
        tenant_id uuid not null,
        token_hash bytea not null,
        session_id uuid not null,
        created_at timestamptz not null,
        expires_at timestamptz not null,
        used_at timestamptz,
        revoked_at timestamptz,
        constraint refresh_tokens_pkey primary key (tenant_id, token_hash),
        constraint refresh_tokens_session_fkey foreign key (tenant_id, session_id)
          references sessions (tenant_id, id) on delete cascade,
        constraint refresh_tokens_token_hash_check check (octet_length(token_hash) = 32)
      )
    `);
    await runner.query('create index refresh_tokens_session_idx on refresh_tokens (tenant_id, session_id)');
    await runner.query('alter table refresh_tokens enable row level security');
    await runner.query('alter table refresh_tokens force row level security');
    await runner.query('grant select, insert, update, delete on refresh_tokens to app_service');
    await runner.query(`
      create policy refresh_tokens_of_the_tenant on refresh_tokens to app_service
        using (tenant_id = current_setting('app.tenant_id')::uuid)
        with check (tenant_id = current_setting('app.tenant_id')::uuid)
    `);

    await runner.query(`
      create table sign_in_failures (
        key text not null,
        failures integer not null,
        window_started_at timestamptz not null,
        blocked_until timestamptz,
        expires_at timestamptz not null,
        constraint sign_in_failures_pkey primary key (key)
      )
    `);
    await runner.query('create index sign_in_failures_expires_at_idx on sign_in_failures (expires_at)');
    await runner.query('grant select, insert, update, delete on sign_in_failures to app_sign_in');
    await runner.query('grant select, delete on sign_in_failures to app_janitor');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table sign_in_failures');
    await runner.query('drop table refresh_tokens');
    await runner.query('drop table sessions');
    await runner.query('drop table memberships');
    await runner.query('drop table users');
    await runner.query('drop table tenants');
    await runner.query('revoke usage on schema public from app_service, app_sign_in, app_janitor');
  }
}
