import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * An invitation of an address that is a member's already is refused: the role that reads members compares keys of
 * addresses.
 */
export class MembersByAddress1765090240000 implements MigrationInterface {
  name = 'MembersByAddress1765090240000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('grant select (email_key) on users to app_members');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('revoke select (email_key) on users from app_members');
  }
}
