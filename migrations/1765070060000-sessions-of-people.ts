import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The beginning of a session, and sessions without a tenant: those have the person's own id in `tenant_id`, so that one
 * table, one policy and one form of token serve both. A session of a tenant ends by the hook `membershipEnded`, no
 * longer by a foreign key, which an account session could not have. The sign-in role sees the sessions of one person.
 */
export class SessionsOfPeople1765070060000 implements MigrationInterface {
  name = 'SessionsOfPeople1765070060000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('alter table sessions drop constraint sessions_membership_fkey');
    await runner.query(`
      alter table sessions
        add column kind text not null default 'tenant',
        add column family_id uuid,
        add column signed_in_at timestamptz,
        add column amr text[] not null default '{pwd}',
        add column acr text not null default 'aal1',
        add column auth_time timestamptz,
        add column connection_id uuid,
        add column last_seen_at timestamptz,
        add column network text,
        add column user_agent text
    `);
    await runner.query(`
      alter table sessions
        add constraint sessions_kind_check check (kind in ('tenant', 'account', 'restore')) not valid
    `);
    await runner.query(
      `alter table sessions add constraint sessions_acr_check check (acr in ('aal1', 'aal2')) not valid`,
    );
    await runner.query(`
      alter table sessions
        add constraint sessions_home_check check ((kind = 'tenant') = (tenant_id <> user_id)) not valid
    `);
    await runner.query(`
      -- squawk-ignore require-concurrent-index-creation
      create index sessions_person_idx on sessions (user_id, id)
    `);
    await runner.query('grant select, update (revoked_at) on sessions to app_sign_in');
    await runner.query(`
      create policy sessions_of_the_person on sessions to app_sign_in
        using (user_id = current_setting('app.user_id')::uuid)
        with check (user_id = current_setting('app.user_id')::uuid)
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop policy sessions_of_the_person on sessions');
    await runner.query('revoke select, update (revoked_at) on sessions from app_sign_in');
    await runner.query('drop index sessions_person_idx');
    await runner.query(`
      -- allow no-backfill-at-once: the previous release knows no account session
      delete from sessions where kind <> 'tenant'
    `);
    await runner.query(`
      alter table sessions
        drop column kind, drop column family_id, drop column signed_in_at, drop column amr, drop column acr,
        drop column auth_time, drop column connection_id, drop column last_seen_at, drop column network,
        drop column user_agent
    `);
    await runner.query(`
      alter table sessions add constraint sessions_membership_fkey foreign key (tenant_id, user_id)
        references memberships (tenant_id, user_id) on delete cascade not valid
    `);
  }
}
