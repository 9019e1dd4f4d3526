import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Waiting mails. A mail without a tenant (a forgotten password) has the nil UUID in its place, so that every mail
 * commits on the server of its change. Its content is encrypted: links contain one-time tokens.
 */
export class Mail1765080060000 implements MigrationInterface {
  name = 'Mail1765080060000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      do $$ begin
        if to_regrole('app_mail') is null then create role app_mail nologin noinherit; end if;
      exception when duplicate_object or unique_violation then null; end $$
    `);
    await runner.query('grant usage on schema public to app_mail');
    await runner.query(`
      create table mail_outbox (
        tenant_id uuid not null,
        id uuid not null,
        template text not null,
        sealed text not null,
        created_at timestamptz not null,
        next_attempt_at timestamptz not null,
        attempts integer not null default 0,
        constraint mail_outbox_pkey primary key (tenant_id, id)
      )
    `);
    await runner.query('create index mail_outbox_next_attempt_at_idx on mail_outbox (next_attempt_at)');
    await runner.query('alter table mail_outbox enable row level security');
    await runner.query('alter table mail_outbox force row level security');
    await runner.query('grant select, insert on mail_outbox to app_service');
    await runner.query('grant insert on mail_outbox to app_sign_in');
    await runner.query('grant select, delete on mail_outbox to app_mail');
    await runner.query('grant update (next_attempt_at, attempts) on mail_outbox to app_mail');
    await runner.query(`
      create policy mail_outbox_of_the_tenant on mail_outbox to app_service
        using (tenant_id = current_setting('app.tenant_id')::uuid)
        with check (tenant_id = current_setting('app.tenant_id')::uuid)
    `);
    await runner.query(
      'create policy mail_outbox_at_sign_in on mail_outbox for insert to app_sign_in with check (true)',
    );
    await runner.query('create policy mail_outbox_to_send on mail_outbox to app_mail using (true) with check (true)');
    await runner.query(`
      create table mail_suppressions (
        address_hash bytea not null,
        reason text not null,
        created_at timestamptz not null,
        expires_at timestamptz not null,
        constraint mail_suppressions_pkey primary key (address_hash),
        constraint mail_suppressions_address_hash_check check (octet_length(address_hash) = 32)
      )
    `);
    await runner.query('create index mail_suppressions_expires_at_idx on mail_suppressions (expires_at)');
    await runner.query('alter table mail_suppressions enable row level security');
    await runner.query('alter table mail_suppressions force row level security');
    await runner.query('grant select, insert, update, delete on mail_suppressions to app_mail');
    await runner.query('grant select, delete on mail_suppressions to app_janitor');
    await runner.query(
      'create policy mail_suppressions_to_send on mail_suppressions to app_mail using (true) with check (true)',
    );
    await runner.query(
      'create policy mail_suppressions_expired on mail_suppressions to app_janitor using (expires_at < now())',
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table mail_suppressions');
    await runner.query('drop table mail_outbox');
    await runner.query('revoke usage on schema public from app_mail');
  }
}
