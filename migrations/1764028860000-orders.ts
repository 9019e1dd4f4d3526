import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Orders, their items and history, and the stored responses of idempotent requests. Ids are UUIDv7 and `created_at` is
 * the time in the id, so the primary key is also the order of every list: newest first is `id desc`.
 *
 * Amounts are `numeric` without a scale: the value keeps the digits it was written with (`10.00`), which are the
 * currency's minor units.
 */
export class Orders1764028860000 implements MigrationInterface {
  name = 'Orders1764028860000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table orders (
        tenant_id uuid not null,
        id uuid not null,
        customer_id uuid not null,
        status text not null,
        total_amount numeric not null,
        currency text not null,
        notes text,
        metadata jsonb not null,
        version integer not null,
        created_at timestamptz not null,
        updated_at timestamptz not null,
        constraint orders_pkey primary key (tenant_id, id),
        constraint orders_tenant_id_fkey foreign key (tenant_id) references tenants (id),
        constraint orders_status_check
          check (status in ('pending', 'confirmed', 'processing', 'completed', 'cancelled')),
        constraint orders_total_amount_check check (total_amount > 0 and total_amount < 1e17),
        constraint orders_currency_check check (currency ~ '^[A-Z]{3}$'),
        constraint orders_version_check check (version > 0)
      )
    `);
    await runner.query('create index orders_customer_id_idx on orders (tenant_id, customer_id, id)');
    await runner.query('create index orders_status_idx on orders (tenant_id, status, id)');
    await runner.query('create index orders_currency_idx on orders (tenant_id, currency, id)');
    await runner.query(`
      create table order_items (
        tenant_id uuid not null,
        order_id uuid not null,
        position smallint not null,
        id uuid not null,
        product_id text not null,
        product_name text not null,
        quantity integer not null,
        unit_price numeric not null,
        constraint order_items_pkey primary key (tenant_id, order_id, position),
        constraint order_items_order_fkey foreign key (tenant_id, order_id)
          references orders (tenant_id, id) on delete cascade,
        constraint order_items_quantity_check check (quantity between 1 and 1000),
        constraint order_items_unit_price_check check (unit_price > 0 and unit_price < 1e12)
      )
    `);
    await runner.query(`
      create table order_history (
        tenant_id uuid not null,
        order_id uuid not null,
        id uuid not null,
        type text not null,
        from_status text,
        to_status text not null,
        actor_type text not null,
        actor_id uuid not null,
        created_at timestamptz not null,
        constraint order_history_pkey primary key (tenant_id, order_id, id),
        constraint order_history_order_fkey foreign key (tenant_id, order_id)
          references orders (tenant_id, id) on delete cascade
      )
    `);
    await runner.query(`
      create table idempotency_keys (
        tenant_id uuid not null,
        caller text not null,
        key text not null,
        request_hash bytea not null,
        status smallint not null,
        headers jsonb not null,
        body text not null,
        created_at timestamptz not null,
        expires_at timestamptz not null,
        constraint idempotency_keys_pkey primary key (tenant_id, caller, key),
        constraint idempotency_keys_tenant_id_fkey foreign key (tenant_id) references tenants (id),
        constraint idempotency_keys_status_check check (status between 200 and 299)
      )
    `);
    await runner.query('create index idempotency_keys_expires_at_idx on idempotency_keys (expires_at)');

    for (const table of ['orders', 'order_items', 'order_history', 'idempotency_keys']) {
      await runner.query(`alter table ${table} enable row level security`);
      await runner.query(`alter table ${table} force row level security`);
      await runner.query(`grant select, insert, update, delete on ${table} to app_service`);
      await runner.query(`
        create policy ${table}_of_the_tenant on ${table} to app_service
          using (tenant_id = current_setting('app.tenant_id')::uuid)
          with check (tenant_id = current_setting('app.tenant_id')::uuid)
      `);
    }
    await runner.query('grant select, delete on idempotency_keys to app_janitor');
    await runner.query(
      'create policy idempotency_keys_expired on idempotency_keys to app_janitor using (expires_at < now())',
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table idempotency_keys');
    await runner.query('drop table order_history');
    await runner.query('drop table order_items');
    await runner.query('drop table orders');
  }
}
