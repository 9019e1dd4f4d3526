import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Second factors of persons. The secret of an authenticator app is encrypted; the last used step is stored, so that a
 * code counts once. Recovery codes and challenges are stored as hashes.
 */
export class SecondFactors1765080120000 implements MigrationInterface {
  name = 'SecondFactors1765080120000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table totp_factors (
        user_id uuid not null,
        secret text not null,
        created_at timestamptz not null,
        confirmed_at timestamptz,
        last_step bigint not null,
        constraint totp_factors_pkey primary key (user_id)
      )
    `);
    await runner.query('alter table totp_factors enable row level security');
    await runner.query('alter table totp_factors force row level security');
    await runner.query('grant select, insert, update, delete on totp_factors to app_sign_in');
    await runner.query(`
      create policy totp_factors_of_the_person on totp_factors to app_sign_in
        using (user_id = current_setting('app.user_id')::uuid)
        with check (user_id = current_setting('app.user_id')::uuid)
    `);
    await runner.query(`
      create table recovery_codes (
        user_id uuid not null,
        position smallint not null,
        hash text not null,
        created_at timestamptz not null,
        used_at timestamptz,
        constraint recovery_codes_pkey primary key (user_id, position)
      )
    `);
    await runner.query('alter table recovery_codes enable row level security');
    await runner.query('alter table recovery_codes force row level security');
    await runner.query('grant select, insert, update, delete on recovery_codes to app_sign_in');
    await runner.query(`
      create policy recovery_codes_of_the_person on recovery_codes to app_sign_in
        using (user_id = current_setting('app.user_id')::uuid)
        with check (user_id = current_setting('app.user_id')::uuid)
    `);
    await runner.query(`
      create table second_factor_challenges (
        user_id uuid not null,
        token_hash bytea not null,
        proof json not null,
        wanted_tenant uuid,
        tries integer not null,
        expires_at timestamptz not null,
        spent_at timestamptz,
        constraint second_factor_challenges_pkey primary key (user_id, token_hash),
        constraint second_factor_challenges_token_hash_check check (octet_length(token_hash) = 32)
      )
    `);
    await runner.query('create index second_factor_challenges_expires_at_idx on second_factor_challenges (expires_at)');
    await runner.query('alter table second_factor_challenges enable row level security');
    await runner.query('alter table second_factor_challenges force row level security');
    await runner.query('grant select, insert, update, delete on second_factor_challenges to app_sign_in');
    await runner.query('grant select, delete on second_factor_challenges to app_janitor');
    await runner.query(`
      create policy second_factor_challenges_of_the_person on second_factor_challenges to app_sign_in
        using (user_id = current_setting('app.user_id')::uuid)
        with check (user_id = current_setting('app.user_id')::uuid)
    `);
    await runner.query(`
      create policy second_factor_challenges_expired on second_factor_challenges to app_janitor
        using (expires_at < now())
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table second_factor_challenges');
    await runner.query('drop table recovery_codes');
    await runner.query('drop table totp_factors');
  }
}
