import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * A tenant's requirements for its sessions and keys, and its closing. A transaction of the tenant locks its row, so
 * that changes of members happen one after the other: hence the service may update the columns that it changes itself.
 */
export class TenantPolicies1765090060000 implements MigrationInterface {
  name = 'TenantPolicies1765090060000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter table tenants
        add column version integer not null default 1,
        add column closed_at timestamptz,
        add column second_factor text not null default 'optional',
        add column second_factor_grace_days integer not null default 0,
        add column second_factor_since timestamptz,
        add column session_idle_minutes integer,
        add column session_max_days integer,
        add column allowed_cidrs text[] not null default '{}',
        add column api_key_max_days integer
    `);
    await runner.query(`
      alter table tenants
        add constraint tenants_second_factor_check check (second_factor in ('optional', 'required')) not valid
    `);
    await runner.query(`
      grant update (name, version, closed_at, second_factor, second_factor_grace_days, second_factor_since,
                    session_idle_minutes, session_max_days, allowed_cidrs, api_key_max_days)
        on tenants to app_service
    `);
    await runner.query(`
      create policy tenants_changed_by_the_tenant on tenants for update to app_service
        using (id = current_setting('app.tenant_id')::uuid)
        with check (id = current_setting('app.tenant_id')::uuid)
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop policy tenants_changed_by_the_tenant on tenants');
    await runner.query(`
      revoke update (name, version, closed_at, second_factor, second_factor_grace_days, second_factor_since,
                     session_idle_minutes, session_max_days, allowed_cidrs, api_key_max_days)
        on tenants from app_service
    `);
    await runner.query(`
      alter table tenants
        drop column version, drop column closed_at, drop column second_factor, drop column second_factor_grace_days,
        drop column second_factor_since, drop column session_idle_minutes, drop column session_max_days,
        drop column allowed_cidrs, drop column api_key_max_days
    `);
  }
}
