import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * API keys and the hashes of their texts: several while a rotated one is still valid besides its successor. The sign-in
 * role sees the personal keys of one person, to end them with the person.
 */
export class ApiKeys1765090180000 implements MigrationInterface {
  name = 'ApiKeys1765090180000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table api_keys (
        tenant_id uuid not null,
        id uuid not null,
        kind text not null,
        user_id uuid,
        name text not null,
        scopes text[] not null,
        hint text not null,
        created_by uuid not null,
        allowed_cidrs text[] not null,
        rate_limit integer,
        version integer not null,
        created_at timestamptz not null,
        updated_at timestamptz not null,
        expires_at timestamptz,
        last_used_at timestamptz,
        notified_at timestamptz,
        constraint api_keys_pkey primary key (tenant_id, id),
        constraint api_keys_tenant_id_fkey foreign key (tenant_id) references tenants (id),
        constraint api_keys_kind_check check (kind in ('tenant', 'personal')),
        constraint api_keys_user_id_check check ((kind = 'personal') = (user_id is not null))
      )
    `);
    await runner.query('create index api_keys_user_idx on api_keys (tenant_id, user_id) where user_id is not null');
    await runner.query('create index api_keys_person_idx on api_keys (user_id) where user_id is not null');
    await runner.query('alter table api_keys enable row level security');
    await runner.query('alter table api_keys force row level security');
    await runner.query('grant select, insert, update, delete on api_keys to app_service');
    await runner.query(`
      create policy api_keys_of_the_tenant on api_keys to app_service
        using (tenant_id = current_setting('app.tenant_id')::uuid)
        with check (tenant_id = current_setting('app.tenant_id')::uuid)
    `);
    await runner.query('grant delete, select (tenant_id, id, user_id, name, created_at) on api_keys to app_sign_in');
    await runner.query(`
      create policy api_keys_of_the_person on api_keys to app_sign_in
        using (user_id = current_setting('app.user_id')::uuid)
        with check (user_id = current_setting('app.user_id')::uuid)
    `);
    await runner.query(`
      create table api_key_secrets (
        tenant_id uuid not null,
        key_hash bytea not null,
        key_id uuid not null,
        created_at timestamptz not null,
        expires_at timestamptz,
        constraint api_key_secrets_pkey primary key (tenant_id, key_hash),
        constraint api_key_secrets_key_fkey foreign key (tenant_id, key_id)
          references api_keys (tenant_id, id) on delete cascade,
        constraint api_key_secrets_key_hash_check check (octet_length(key_hash) = 32)
      )
    `);
    await runner.query('create index api_key_secrets_key_idx on api_key_secrets (tenant_id, key_id)');
    await runner.query('create index api_key_secrets_expires_at_idx on api_key_secrets (expires_at)');
    await runner.query('alter table api_key_secrets enable row level security');
    await runner.query('alter table api_key_secrets force row level security');
    await runner.query('grant select, insert, update, delete on api_key_secrets to app_service');
    await runner.query(`
      create policy api_key_secrets_of_the_tenant on api_key_secrets to app_service
        using (tenant_id = current_setting('app.tenant_id')::uuid)
        with check (tenant_id = current_setting('app.tenant_id')::uuid)
    `);
    await runner.query('grant delete, select (tenant_id, key_hash, expires_at) on api_key_secrets to app_janitor');
    await runner.query(
      'create policy api_key_secrets_expired on api_key_secrets to app_janitor using (expires_at < now())',
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table api_key_secrets');
    await runner.query('drop table api_keys');
  }
}
