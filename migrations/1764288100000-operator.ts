import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * A role for the operator's commands: it lists, suspends and resumes tenants, and sees none of their rows. The
 * service's login is not a member of it; the owner of the tables changes to it.
 */
export class Operator1764288100000 implements MigrationInterface {
  name = 'Operator1764288100000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      do $$ begin
        if to_regrole('app_operator') is null then create role app_operator nologin noinherit; end if;
      exception when duplicate_object or unique_violation then null; end $$
    `);
    await runner.query('grant usage on schema public to app_operator');
    await runner.query('grant select on tenants to app_operator');
    await runner.query('grant update (suspended_at) on tenants to app_operator');
    await runner.query(
      'create policy tenants_of_the_operator on tenants to app_operator using (true) with check (true)',
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop policy tenants_of_the_operator on tenants');
    await runner.query('revoke update (suspended_at) on tenants from app_operator');
    await runner.query('revoke select on tenants from app_operator');
    await runner.query('revoke usage on schema public from app_operator');
  }
}
