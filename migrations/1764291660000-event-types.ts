import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Types of a tenant's own events, with the schema of their data. The id distinguishes a type from a removed one with
 * the same name: a version alone would not.
 */
export class EventTypes1764291660000 implements MigrationInterface {
  name = 'EventTypes1764291660000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table webhook_event_types (
        tenant_id uuid not null,
        name text not null,
        id uuid not null,
        description text,
        schema json not null,
        example json,
        version integer not null,
        created_at timestamptz not null,
        updated_at timestamptz not null,
        constraint webhook_event_types_pkey primary key (tenant_id, name),
        constraint webhook_event_types_tenant_id_fkey foreign key (tenant_id) references tenants (id)
      )
    `);
    await runner.query('alter table webhook_event_types enable row level security');
    await runner.query('alter table webhook_event_types force row level security');
    await runner.query('grant select, insert, update, delete on webhook_event_types to app_service');
    await runner.query(`
      create policy webhook_event_types_of_the_tenant on webhook_event_types to app_service
        using (tenant_id = current_setting('app.tenant_id')::uuid)
        with check (tenant_id = current_setting('app.tenant_id')::uuid)
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table webhook_event_types');
  }
}
