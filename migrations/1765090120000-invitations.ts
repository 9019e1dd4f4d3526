import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Invitations into a tenant. A row exists as long as the invitation: acceptance and withdrawal delete it, so that a
 * token is used once, by the delete that finds it. Only the token's hash is stored.
 */
export class Invitations1765090120000 implements MigrationInterface {
  name = 'Invitations1765090120000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table invitations (
        tenant_id uuid not null,
        id uuid not null,
        email text not null,
        email_key text not null,
        role text not null,
        token_hash bytea not null,
        invited_by uuid not null,
        version integer not null,
        created_at timestamptz not null,
        expires_at timestamptz not null,
        constraint invitations_pkey primary key (tenant_id, id),
        constraint invitations_email_key_key unique (tenant_id, email_key),
        constraint invitations_token_hash_key unique (tenant_id, token_hash),
        constraint invitations_tenant_id_fkey foreign key (tenant_id) references tenants (id),
        constraint invitations_token_hash_check check (octet_length(token_hash) = 32)
      )
    `);
    await runner.query('create index invitations_expires_at_idx on invitations (expires_at)');
    await runner.query('alter table invitations enable row level security');
    await runner.query('alter table invitations force row level security');
    await runner.query('grant select, insert, update, delete on invitations to app_service');
    await runner.query(`
      create policy invitations_of_the_tenant on invitations to app_service
        using (tenant_id = current_setting('app.tenant_id')::uuid)
        with check (tenant_id = current_setting('app.tenant_id')::uuid)
    `);
    await runner.query('grant delete, select (tenant_id, id, expires_at) on invitations to app_janitor');
    await runner.query(`
      create policy invitations_expired on invitations to app_janitor
        using (expires_at < now() - interval '30 days')
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table invitations');
  }
}
