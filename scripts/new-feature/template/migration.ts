import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Demo things. Ids are UUIDv7 and `created_at` is the time in the id.
 * So the primary key is also the order of the list: newest first is `id desc`.
 */
export class DemoThings0000000000000 implements MigrationInterface {
  name = 'DemoThings0000000000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table demo_things (
        tenant_id uuid not null,
        id uuid not null,
        name text not null,
        notes text,
        version integer not null,
        created_at timestamptz not null,
        updated_at timestamptz not null,
        constraint demo_things_pkey primary key (tenant_id, id),
        constraint demo_things_tenant_id_fkey foreign key (tenant_id) references tenants (id),
        constraint demo_things_name_check check (char_length(name) between 1 and 200),
        constraint demo_things_notes_check check (char_length(notes) <= 500),
        constraint demo_things_version_check check (version > 0)
      )
    `);
    await runner.query('alter table demo_things enable row level security');
    await runner.query('alter table demo_things force row level security');
    await runner.query('grant select, insert, update, delete on demo_things to app_service');
    await runner.query(`
      create policy demo_things_of_the_tenant on demo_things to app_service
        using (tenant_id = current_setting('app.tenant_id')::uuid)
        with check (tenant_id = current_setting('app.tenant_id')::uuid)
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table demo_things');
  }
}
