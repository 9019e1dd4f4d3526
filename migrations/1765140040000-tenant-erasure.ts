import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Tables of tenants that the role of requests may not delete from, each with the column of its id. */
const ERASED = [
  'mail_outbox',
  'audit_refusals',
  'audit_erasures',
  'audit_personal',
  'audit_pending',
  'audit_leaves',
  'audit_nodes',
  'audit_trees',
];
const OF_THE_TENANT = `tenant_id = current_setting('app.tenant_id')::uuid`;

/**
 * The end of closed tenants, and exports of open ones. The role `app_eraser` deletes rows that the role of requests may
 * only insert: entries of the audit log that are 29 days old, as the retention job may, and tenants that closed 30 days
 * ago. The additional hour separates an erasure from a late restoration.
 */
export class TenantErasure1765140040000 implements MigrationInterface {
  name = 'TenantErasure1765140040000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      do $$ begin
        if to_regrole('app_eraser') is null then create role app_eraser nologin noinherit; end if;
      exception when duplicate_object or unique_violation then null; end $$
    `);
    await runner.query('grant usage on schema public to app_eraser');
    await runner.query(`
      -- squawk-ignore require-concurrent-index-creation
      create index tenants_closed_at_idx on tenants (closed_at) where closed_at is not null
    `);
    await runner.query('grant select (id, closed_at), delete on tenants to app_eraser');
    await runner.query(
      `create policy tenants_to_erase on tenants to app_eraser using (closed_at < now() - interval '30 days 1 hour')`,
    );
    await runner.query('grant select (tenant_id, id, occurred_at), delete on audit_log to app_eraser');
    await runner.query(`
      create policy audit_log_to_be_erased on audit_log to app_eraser
        using (${OF_THE_TENANT} and occurred_at < now() - interval '29 days')
    `);
    for (const table of ERASED) {
      await runner.query(`grant select, delete on ${table} to app_eraser`);
      await runner.query(`create policy ${table}_to_be_erased on ${table} to app_eraser using (${OF_THE_TENANT})`);
    }
    await runner.query(`
      create table tenant_exports (
        tenant_id uuid not null,
        id uuid not null,
        created_by uuid not null,
        created_at timestamptz not null,
        expires_at timestamptz not null,
        version integer not null,
        constraint tenant_exports_pkey primary key (tenant_id, id),
        constraint tenant_exports_tenant_id_fkey foreign key (tenant_id) references tenants (id)
      )
    `);
    await runner.query('create index tenant_exports_expires_at_idx on tenant_exports (expires_at)');
    await runner.query('alter table tenant_exports enable row level security');
    await runner.query('alter table tenant_exports force row level security');
    await runner.query('grant select, insert, update, delete on tenant_exports to app_service');
    await runner.query(`
      create policy tenant_exports_of_the_tenant on tenant_exports to app_service
        using (${OF_THE_TENANT}) with check (${OF_THE_TENANT})
    `);
    await runner.query('grant select (tenant_id, id, expires_at), delete on tenant_exports to app_janitor');
    await runner.query(
      'create policy tenant_exports_expired on tenant_exports to app_janitor using (expires_at < now())',
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table tenant_exports');
    for (const table of [...ERASED].reverse()) {
      await runner.query(`drop policy ${table}_to_be_erased on ${table}`);
      await runner.query(`revoke select, delete on ${table} from app_eraser`);
    }
    await runner.query('drop policy audit_log_to_be_erased on audit_log');
    await runner.query('revoke select (tenant_id, id, occurred_at), delete on audit_log from app_eraser');
    await runner.query('drop policy tenants_to_erase on tenants');
    await runner.query('revoke select (id, closed_at), delete on tenants from app_eraser');
    await runner.query('drop index tenants_closed_at_idx');
    await runner.query('revoke usage on schema public from app_eraser');
  }
}
