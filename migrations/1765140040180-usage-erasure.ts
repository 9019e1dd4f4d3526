import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Lets the role of erasures delete the counts of a closed tenant: the role of requests may only add to them. */
export class UsageErasure1765140040180 implements MigrationInterface {
  name = 'UsageErasure1765140040180';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('grant select, delete on tenant_usage to app_eraser');
    await runner.query(`
      create policy tenant_usage_to_be_erased on tenant_usage to app_eraser
        using (tenant_id = current_setting('app.tenant_id')::uuid)
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop policy tenant_usage_to_be_erased on tenant_usage');
    await runner.query('revoke select, delete on tenant_usage from app_eraser');
  }
}
