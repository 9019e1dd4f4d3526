import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The sign-in role writes the membership of a tenant's founder and no other: with the index of the next migration it
 * cannot make a person a member of an existing tenant. The column's default marks the role's inserts, so that the
 * previous release continues to register tenants.
 */
export class Founders1765150020000 implements MigrationInterface {
  name = 'Founders1765150020000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- The default is the same for all rows that there are: no table is written anew.
      -- squawk-ignore adding-field-with-default
      alter table memberships add column founder boolean not null default (current_user = 'app_sign_in')
    `);
    await runner.query(`
      alter policy memberships_at_registration on memberships
        with check (tenant_id = current_setting('app.tenant_id')::uuid and founder)
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter policy memberships_at_registration on memberships
        with check (tenant_id = current_setting('app.tenant_id')::uuid)
    `);
    await runner.query('alter table memberships drop column founder');
  }
}
