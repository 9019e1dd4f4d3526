import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The first id of a UUIDv7 five minutes ago. */
const RECENT = `(lpad(to_hex((extract(epoch from now() - interval '5 minutes') * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid`;

/**
 * The sign-in role deletes the founder of no new tenant: it could write another one in that place. Only the erasure of
 * a person deletes memberships as this role, and an erased person has left every tenant 30 days before.
 */
export class FoundersStay1765260000060 implements MigrationInterface {
  name = 'FoundersStay1765260000060';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter policy memberships_left_by_the_person on memberships
        using (user_id = current_setting('app.user_id')::uuid and (not founder or tenant_id < ${RECENT}))
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter policy memberships_left_by_the_person on memberships
        using (user_id = current_setting('app.user_id')::uuid)
    `);
  }
}
