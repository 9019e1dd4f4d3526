import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Tokens in mails, valid for one use and stored as hashes. The subject (a person, or a pending registration) is in the
 * token's text, so that the row is found under it. The mails to an address are counted under a hash of it.
 */
export class OneTimeTokens1765070180000 implements MigrationInterface {
  name = 'OneTimeTokens1765070180000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table one_time_tokens (
        subject_id uuid not null,
        token_hash bytea not null,
        kind text not null,
        data json not null,
        created_at timestamptz not null,
        expires_at timestamptz not null,
        spent_at timestamptz,
        constraint one_time_tokens_pkey primary key (subject_id, token_hash),
        constraint one_time_tokens_token_hash_check check (octet_length(token_hash) = 32)
      )
    `);
    await runner.query('create index one_time_tokens_expires_at_idx on one_time_tokens (expires_at)');
    await runner.query('alter table one_time_tokens enable row level security');
    await runner.query('alter table one_time_tokens force row level security');
    await runner.query('grant select, insert, update on one_time_tokens to app_sign_in');
    await runner.query(`
      create policy one_time_tokens_of_the_subject on one_time_tokens to app_sign_in
        using (subject_id = current_setting('app.user_id')::uuid)
        with check (subject_id = current_setting('app.user_id')::uuid)
    `);
    await runner.query('grant select, delete on one_time_tokens to app_janitor');
    await runner.query(
      'create policy one_time_tokens_expired on one_time_tokens to app_janitor using (expires_at < now())',
    );
    await runner.query(`
      create table address_reservations (
        email_key text not null,
        user_id uuid not null,
        expires_at timestamptz not null,
        constraint address_reservations_pkey primary key (email_key, user_id)
      )
    `);
    await runner.query('create index address_reservations_expires_at_idx on address_reservations (expires_at)');
    await runner.query('grant select, insert, update, delete on address_reservations to app_sign_in');
    await runner.query('grant select, delete on address_reservations to app_janitor');
    await runner.query(`
      create table known_networks (
        user_id uuid not null,
        network_hash bytea not null,
        expires_at timestamptz not null,
        constraint known_networks_pkey primary key (user_id, network_hash)
      )
    `);
    await runner.query('create index known_networks_expires_at_idx on known_networks (expires_at)');
    await runner.query('alter table known_networks enable row level security');
    await runner.query('alter table known_networks force row level security');
    await runner.query('grant select, insert, update, delete on known_networks to app_sign_in');
    await runner.query(`
      create policy known_networks_of_the_person on known_networks to app_sign_in
        using (user_id = current_setting('app.user_id')::uuid)
        with check (user_id = current_setting('app.user_id')::uuid)
    `);
    await runner.query('grant select, delete on known_networks to app_janitor');
    await runner.query(
      'create policy known_networks_expired on known_networks to app_janitor using (expires_at < now())',
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table known_networks');
    await runner.query('drop table address_reservations');
    await runner.query('drop table one_time_tokens');
  }
}
