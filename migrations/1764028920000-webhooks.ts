import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Events with their outbox, webhook endpoints, deliveries and their attempts.
 *
 * An event and its outbox row are written with their change. A delivery's id is derived from event and endpoint, so
 * that each pair has one delivery however often the relay runs; receivers see it as `webhook-id`. The indexes of
 * waiting deliveries are partial: they contain due rows and nothing of the log.
 */
export class Webhooks1764028920000 implements MigrationInterface {
  name = 'Webhooks1764028920000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      do $$ begin
        if to_regrole('app_relay') is null then create role app_relay nologin noinherit; end if;
      exception when duplicate_object or unique_violation then null; end $$
    `);
    await runner.query(`
      do $$ begin
        if to_regrole('app_dispatcher') is null then create role app_dispatcher nologin noinherit; end if;
      exception when duplicate_object or unique_violation then null; end $$
    `);
    await runner.query('grant usage on schema public to app_relay, app_dispatcher');
    await runner.query(`
      create table events (
        tenant_id uuid not null,
        id uuid not null,
        type text not null,
        aggregate_id uuid,
        sequence integer,
        event_id text,
        data json not null,
        created_at timestamptz not null,
        constraint events_pkey primary key (tenant_id, id),
        constraint events_tenant_id_fkey foreign key (tenant_id) references tenants (id)
      )
    `);
    await runner.query(
      'create unique index events_event_id_key on events (tenant_id, event_id) where event_id is not null',
    );
    await runner.query(`
      create unique index events_sequence_key on events (tenant_id, aggregate_id, sequence)
        where aggregate_id is not null
    `);
    await runner.query(`
      create table outbox (
        tenant_id uuid not null,
        position bigint not null generated always as identity,
        event_id uuid not null,
        endpoint_id uuid,
        constraint outbox_pkey primary key (tenant_id, position)
      )
    `);
    await runner.query(
      'alter table outbox set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000)',
    );
    await runner.query(`
      create table webhook_endpoints (
        tenant_id uuid not null,
        id uuid not null,
        url text not null,
        description text,
        event_types text[] not null,
        headers jsonb not null,
        rate_limit integer,
        ordering text not null,
        signature text not null,
        secret text not null,
        previous_secret text,
        previous_secret_expires_at timestamptz,
        enabled boolean not null,
        disabled_reason text,
        failing_since timestamptz,
        version integer not null,
        created_at timestamptz not null,
        updated_at timestamptz not null,
        constraint webhook_endpoints_pkey primary key (tenant_id, id),
        constraint webhook_endpoints_tenant_id_fkey foreign key (tenant_id) references tenants (id),
        constraint webhook_endpoints_ordering_check check (ordering in ('none', 'by_aggregate')),
        constraint webhook_endpoints_signature_check check (signature in ('v1', 'v1a')),
        constraint webhook_endpoints_rate_limit_check check (rate_limit between 1 and 10000)
      )
    `);
    await runner.query(`
      create table deliveries (
        tenant_id uuid not null,
        id uuid not null,
        endpoint_id uuid not null,
        event_id uuid not null,
        event_type text not null,
        aggregate_id uuid,
        sequence integer,
        status text not null,
        attempt_count integer not null,
        tries integer not null,
        next_attempt_at timestamptz,
        requested_at timestamptz,
        created_at timestamptz not null,
        completed_at timestamptz,
        constraint deliveries_pkey primary key (tenant_id, id),
        constraint deliveries_event_fkey foreign key (tenant_id, event_id)
          references events (tenant_id, id) on delete cascade,
        constraint deliveries_status_check check (status in
          ('pending', 'succeeded', 'retrying', 'failed', 'cancelled', 'filtered', 'disabled')),
        constraint deliveries_due_check check ((status in ('pending', 'retrying')) = (next_attempt_at is not null))
      )
    `);
    await runner.query('create index deliveries_event_idx on deliveries (tenant_id, event_id)');
    await runner.query('create index deliveries_endpoint_idx on deliveries (tenant_id, endpoint_id, id)');
    await runner.query('create index deliveries_status_idx on deliveries (tenant_id, status, id)');
    await runner.query(`
      create index deliveries_due_idx on deliveries (tenant_id, endpoint_id, status, next_attempt_at, id)
        where status in ('pending', 'retrying')
    `);
    await runner.query(`
      create index deliveries_aggregate_idx on deliveries (tenant_id, endpoint_id, aggregate_id, sequence)
        where status in ('pending', 'retrying')
    `);
    await runner.query(`
      create table delivery_attempts (
        tenant_id uuid not null,
        delivery_id uuid not null,
        number integer not null,
        endpoint_id uuid not null,
        started_at timestamptz not null,
        duration_ms integer not null,
        response_status smallint,
        response_body text,
        error text,
        succeeded boolean not null,
        constraint delivery_attempts_pkey primary key (tenant_id, delivery_id, number),
        constraint delivery_attempts_delivery_fkey foreign key (tenant_id, delivery_id)
          references deliveries (tenant_id, id) on delete cascade
      )
    `);
    await runner.query(
      'create index delivery_attempts_endpoint_idx on delivery_attempts (tenant_id, endpoint_id, started_at)',
    );

    for (const table of ['events', 'outbox', 'webhook_endpoints', 'deliveries', 'delivery_attempts']) {
      await runner.query(`alter table ${table} enable row level security`);
      await runner.query(`alter table ${table} force row level security`);
      await runner.query(`grant select, insert, update, delete on ${table} to app_service`);
      await runner.query(`
        create policy ${table}_of_the_tenant on ${table} to app_service
          using (tenant_id = current_setting('app.tenant_id')::uuid)
          with check (tenant_id = current_setting('app.tenant_id')::uuid)
      `);
    }
    await runner.query('grant select (tenant_id, position) on outbox to app_relay');
    await runner.query('create policy outbox_to_discover on outbox for select to app_relay using (true)');
    await runner.query(
      'grant select (tenant_id, endpoint_id, id, status, next_attempt_at) on deliveries to app_dispatcher',
    );
    await runner.query(`
      create policy deliveries_waiting on deliveries for select to app_dispatcher
        using (status in ('pending', 'retrying'))
    `);
    await runner.query('grant select (tenant_id, id, created_at) on events to app_janitor');
    await runner.query('grant delete on events to app_janitor');
    // A setting of the retention job decides how long events are kept; the policy ensures that it is never less than a
    // day.
    await runner.query('create index events_created_at_idx on events (created_at)');
    await runner.query(
      `create policy events_expired on events to app_janitor using (created_at < now() - interval '1 day')`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table delivery_attempts');
    await runner.query('drop table deliveries');
    await runner.query('drop table webhook_endpoints');
    await runner.query('drop table outbox');
    await runner.query('drop table events');
    await runner.query('revoke usage on schema public from app_relay, app_dispatcher');
  }
}
