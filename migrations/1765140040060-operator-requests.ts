import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The operator's announcements, which may be executed a day later: another owner of a tenant, and the end of a person's
 * second factor. In the rows of tenant and person, so that a sign-in that cancels it sees it without a query.
 */
export class OperatorRequests1765140040060 implements MigrationInterface {
  name = 'OperatorRequests1765140040060';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('alter table tenants add column new_owner_id uuid, add column new_owner_at timestamptz');
    await runner.query('grant update (new_owner_id, new_owner_at) on tenants to app_service');
    await runner.query('alter table users add column factor_reset_at timestamptz');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('alter table users drop column factor_reset_at');
    await runner.query('revoke update (new_owner_id, new_owner_at) on tenants from app_service');
    await runner.query('alter table tenants drop column new_owner_id, drop column new_owner_at');
  }
}
