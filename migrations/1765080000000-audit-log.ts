import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The audit log of each tenant. `audit_log` only ever gets inserts; `audit_pending` names the rows that are not in the
 * tree yet; personal values are in `audit_personal`, so that an erasure deletes them and leaves the log unchanged. The
 * role `app_audit` builds the tree (`audit_leaves`, `audit_nodes`, `audit_trees`) and can change no row of the log.
 */
export class AuditLog1765080000000 implements MigrationInterface {
  name = 'AuditLog1765080000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      do $$ begin
        if to_regrole('app_audit') is null then create role app_audit nologin noinherit; end if;
      exception when duplicate_object or unique_violation then null; end $$
    `);
    await runner.query('grant usage on schema public to app_audit');

    await runner.query(`
      create table audit_log (
        tenant_id uuid not null,
        id uuid not null,
        occurred_at timestamptz not null,
        actor_type text not null,
        actor_id text,
        actor_via text,
        action text not null,
        target_type text not null,
        target_id text,
        changes json not null,
        request_id text,
        session_id uuid,
        outcome text not null,
        count integer not null,
        canonical bytea not null,
        constraint audit_log_pkey primary key (tenant_id, id),
        constraint audit_log_outcome_check check (outcome in ('success', 'denied', 'failure'))
      )
    `);
    await runner.query('create index audit_log_actor_idx on audit_log (tenant_id, actor_id, id)');
    await runner.query('create index audit_log_target_idx on audit_log (tenant_id, target_id, id)');
    await runner.query('create index audit_log_action_idx on audit_log (tenant_id, action, id)');
    await runner.query('create index audit_log_occurred_at_idx on audit_log (occurred_at)');
    await runner.query('alter table audit_log enable row level security');
    await runner.query('alter table audit_log force row level security');
    await runner.query('grant select, insert on audit_log to app_service');
    await runner.query('grant select on audit_log to app_audit');
    await runner.query('grant insert on audit_log to app_audit, app_sign_in');
    await runner.query('grant select (tenant_id, id, occurred_at), delete on audit_log to app_janitor');
    await runner.query(`
      create policy audit_log_of_the_tenant on audit_log to app_service
        using (tenant_id = current_setting('app.tenant_id')::uuid)
        with check (tenant_id = current_setting('app.tenant_id')::uuid)
    `);
    await runner.query(`
      create policy audit_log_to_fold on audit_log for select to app_audit
        using (tenant_id = current_setting('app.tenant_id')::uuid)
    `);
    await runner.query(`
      create policy audit_log_of_refusals on audit_log for insert to app_audit
        with check (tenant_id = current_setting('app.tenant_id')::uuid)
    `);
    await runner.query('create policy audit_log_at_sign_in on audit_log for insert to app_sign_in with check (true)');
    await runner.query(
      `create policy audit_log_expired on audit_log to app_janitor using (occurred_at < now() - interval '29 days')`,
    );
    await runner.query(`
      create table audit_personal (
        tenant_id uuid not null,
        entry_id uuid not null,
        user_id uuid not null,
        data json not null,
        salts json not null,
        constraint audit_personal_pkey primary key (tenant_id, entry_id, user_id)
      )
    `);
    await runner.query('create index audit_personal_user_idx on audit_personal (user_id, tenant_id)');
    await runner.query('alter table audit_personal enable row level security');
    await runner.query('alter table audit_personal force row level security');
    await runner.query('grant select, insert on audit_personal to app_service');
    await runner.query('grant select, insert, delete on audit_personal to app_audit');
    await runner.query('grant insert on audit_personal to app_sign_in');
    await runner.query('grant select (tenant_id, entry_id, user_id), delete on audit_personal to app_janitor');
    await runner.query(`
      create policy audit_personal_of_the_tenant on audit_personal to app_service
        using (tenant_id = current_setting('app.tenant_id')::uuid)
        with check (tenant_id = current_setting('app.tenant_id')::uuid)
    `);
    await runner.query(`
      create policy audit_personal_to_erase on audit_personal to app_audit using (true)
        with check (tenant_id = current_setting('app.tenant_id')::uuid)
    `);
    await runner.query(
      'create policy audit_personal_at_sign_in on audit_personal for insert to app_sign_in with check (true)',
    );
    await runner.query('create policy audit_personal_expired on audit_personal to app_janitor using (true)');
    await runner.query(`
      create table audit_pending (
        tenant_id uuid not null,
        entry_id uuid not null,
        constraint audit_pending_pkey primary key (tenant_id, entry_id)
      )
    `);
    await runner.query('alter table audit_pending enable row level security');
    await runner.query('alter table audit_pending force row level security');
    await runner.query('grant select, insert on audit_pending to app_service');
    await runner.query('grant insert on audit_pending to app_sign_in');
    await runner.query('grant select, insert, delete on audit_pending to app_audit');
    await runner.query(`
      create policy audit_pending_of_the_tenant on audit_pending to app_service
        using (tenant_id = current_setting('app.tenant_id')::uuid)
        with check (tenant_id = current_setting('app.tenant_id')::uuid)
    `);
    await runner.query(`
      create policy audit_pending_to_fold on audit_pending to app_audit using (true)
        with check (tenant_id = current_setting('app.tenant_id')::uuid)
    `);
    await runner.query(
      'create policy audit_pending_at_sign_in on audit_pending for insert to app_sign_in with check (true)',
    );

    await runner.query(`
      create table audit_trees (
        tenant_id uuid not null,
        size bigint not null,
        root_hash bytea not null,
        signed_at timestamptz not null,
        key_id uuid not null,
        note text not null,
        announced_at timestamptz,
        announced_size bigint not null default 0,
        constraint audit_trees_pkey primary key (tenant_id)
      )
    `);
    await runner.query('alter table audit_trees enable row level security');
    await runner.query('alter table audit_trees force row level security');
    await runner.query('grant select on audit_trees to app_service');
    await runner.query('grant select, insert, update on audit_trees to app_audit');
    await runner.query(`
      create policy audit_trees_of_the_tenant on audit_trees to app_service
        using (tenant_id = current_setting('app.tenant_id')::uuid)
        with check (tenant_id = current_setting('app.tenant_id')::uuid)
    `);
    await runner.query(`
      create policy audit_trees_to_fold on audit_trees to app_audit using (true)
        with check (tenant_id = current_setting('app.tenant_id')::uuid)
    `);
    await runner.query(`
      create table audit_leaves (
        tenant_id uuid not null,
        leaf_index bigint not null,
        entry_id uuid not null,
        hash bytea not null,
        constraint audit_leaves_pkey primary key (tenant_id, leaf_index),
        constraint audit_leaves_entry_key unique (tenant_id, entry_id)
      )
    `);
    await runner.query('alter table audit_leaves enable row level security');
    await runner.query('alter table audit_leaves force row level security');
    await runner.query('grant select on audit_leaves to app_service');
    await runner.query('grant select, insert on audit_leaves to app_audit');
    await runner.query(`
      create policy audit_leaves_of_the_tenant on audit_leaves to app_service
        using (tenant_id = current_setting('app.tenant_id')::uuid)
        with check (tenant_id = current_setting('app.tenant_id')::uuid)
    `);
    await runner.query(`
      create policy audit_leaves_to_fold on audit_leaves to app_audit
        using (tenant_id = current_setting('app.tenant_id')::uuid)
        with check (tenant_id = current_setting('app.tenant_id')::uuid)
    `);
    await runner.query(`
      create table audit_nodes (
        tenant_id uuid not null,
        level smallint not null,
        node_index bigint not null,
        hash bytea not null,
        constraint audit_nodes_pkey primary key (tenant_id, level, node_index)
      )
    `);
    await runner.query('alter table audit_nodes enable row level security');
    await runner.query('alter table audit_nodes force row level security');
    await runner.query('grant select on audit_nodes to app_service');
    await runner.query('grant select, insert on audit_nodes to app_audit');
    await runner.query(`
      create policy audit_nodes_of_the_tenant on audit_nodes to app_service
        using (tenant_id = current_setting('app.tenant_id')::uuid)
        with check (tenant_id = current_setting('app.tenant_id')::uuid)
    `);
    await runner.query(`
      create policy audit_nodes_to_fold on audit_nodes to app_audit
        using (tenant_id = current_setting('app.tenant_id')::uuid)
        with check (tenant_id = current_setting('app.tenant_id')::uuid)
    `);

    await runner.query(`
      create table audit_refusals (
        tenant_id uuid not null,
        hour timestamptz not null,
        key bytea not null,
        anonymous boolean not null,
        entry json not null,
        count integer not null,
        constraint audit_refusals_pkey primary key (tenant_id, hour, key),
        constraint audit_refusals_key_check check (octet_length(key) = 32)
      )
    `);
    await runner.query('alter table audit_refusals enable row level security');
    await runner.query('alter table audit_refusals force row level security');
    await runner.query('grant select, insert, update on audit_refusals to app_service');
    await runner.query('grant select, delete on audit_refusals to app_audit');
    await runner.query(`
      create policy audit_refusals_of_the_tenant on audit_refusals to app_service
        using (tenant_id = current_setting('app.tenant_id')::uuid)
        with check (tenant_id = current_setting('app.tenant_id')::uuid)
    `);
    await runner.query('create policy audit_refusals_to_write on audit_refusals to app_audit using (true)');
    await runner.query(`
      create table audit_erasures (
        tenant_id uuid not null,
        user_id uuid not null,
        constraint audit_erasures_pkey primary key (tenant_id, user_id)
      )
    `);
    await runner.query('alter table audit_erasures enable row level security');
    await runner.query('alter table audit_erasures force row level security');
    await runner.query('grant select, insert on audit_erasures to app_service');
    await runner.query('grant insert on audit_erasures to app_sign_in');
    await runner.query('grant select, delete on audit_erasures to app_audit');
    await runner.query(`
      create policy audit_erasures_of_the_tenant on audit_erasures to app_service
        using (tenant_id = current_setting('app.tenant_id')::uuid)
        with check (tenant_id = current_setting('app.tenant_id')::uuid)
    `);
    await runner.query(
      'create policy audit_erasures_at_sign_in on audit_erasures for insert to app_sign_in with check (true)',
    );
    await runner.query('create policy audit_erasures_to_carry_out on audit_erasures to app_audit using (true)');
    await runner.query(`
      create table audit_keys (
        id uuid not null,
        public_key bytea not null,
        private_key text not null,
        created_at timestamptz not null,
        constraint audit_keys_pkey primary key (id)
      )
    `);
    await runner.query('alter table audit_keys enable row level security');
    await runner.query('alter table audit_keys force row level security');
    await runner.query('grant select (id, public_key, created_at) on audit_keys to app_service');
    await runner.query('grant select, insert on audit_keys to app_audit');
    await runner.query('create policy audit_keys_public on audit_keys for select to app_service using (true)');
    await runner.query('create policy audit_keys_to_sign on audit_keys to app_audit using (true) with check (true)');

    await runner.query('grant insert on events, outbox to app_audit');
    await runner.query(`
      create policy events_of_the_audit_log on events for insert to app_audit
        with check (tenant_id = current_setting('app.tenant_id')::uuid)
    `);
    await runner.query(`
      create policy outbox_of_the_audit_log on outbox for insert to app_audit
        with check (tenant_id = current_setting('app.tenant_id')::uuid)
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop policy outbox_of_the_audit_log on outbox');
    await runner.query('drop policy events_of_the_audit_log on events');
    await runner.query('revoke insert on events, outbox from app_audit');
    await runner.query('drop table audit_keys');
    await runner.query('drop table audit_erasures');
    await runner.query('drop table audit_refusals');
    await runner.query('drop table audit_nodes');
    await runner.query('drop table audit_leaves');
    await runner.query('drop table audit_trees');
    await runner.query('drop table audit_pending');
    await runner.query('drop table audit_personal');
    await runner.query('drop table audit_log');
    await runner.query('revoke usage on schema public from app_audit');
  }
}
