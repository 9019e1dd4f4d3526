import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Idempotency keys of persons, for a creation without a tenant: a tenant. The row commits with the new tenant; the
 * response follows, encrypted, since it contains tokens.
 */
export class AccountIdempotency1765140040120 implements MigrationInterface {
  name = 'AccountIdempotency1765140040120';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table account_idempotency_keys (
        user_id uuid not null,
        key text not null,
        request_hash bytea not null,
        made_id uuid not null,
        body text,
        created_at timestamptz not null,
        expires_at timestamptz not null,
        constraint account_idempotency_keys_pkey primary key (user_id, key)
      )
    `);
    await runner.query('create index account_idempotency_keys_expires_at_idx on account_idempotency_keys (expires_at)');
    await runner.query('alter table account_idempotency_keys enable row level security');
    await runner.query('alter table account_idempotency_keys force row level security');
    await runner.query('grant select, insert, update, delete on account_idempotency_keys to app_sign_in');
    await runner.query(`
      create policy account_idempotency_keys_of_the_person on account_idempotency_keys to app_sign_in
        using (user_id = current_setting('app.user_id')::uuid)
        with check (user_id = current_setting('app.user_id')::uuid)
    `);
    await runner.query('grant select, delete on account_idempotency_keys to app_janitor');
    await runner.query(`
      create policy account_idempotency_keys_expired on account_idempotency_keys to app_janitor
        using (expires_at < now())
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table account_idempotency_keys');
  }
}
