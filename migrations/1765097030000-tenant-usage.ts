import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The amounts of each tenant by day: quotas and `GET /tenant/usage` read them instead of counting rows. */
export class TenantUsage1765097030000 implements MigrationInterface {
  name = 'TenantUsage1765097030000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table tenant_usage (
        tenant_id uuid not null,
        day integer not null,
        name text not null,
        amount bigint not null,
        constraint tenant_usage_pkey primary key (tenant_id, day, name),
        constraint tenant_usage_tenant_id_fkey foreign key (tenant_id) references tenants (id)
      )
    `);
    await runner.query('alter table tenant_usage enable row level security');
    await runner.query('alter table tenant_usage force row level security');
    await runner.query('grant select, insert, update on tenant_usage to app_service');
    await runner.query(`
      create policy tenant_usage_of_the_tenant on tenant_usage to app_service
        using (tenant_id = current_setting('app.tenant_id')::uuid)
        with check (tenant_id = current_setting('app.tenant_id')::uuid)
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table tenant_usage');
  }
}
