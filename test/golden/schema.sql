create table account_idempotency_keys (
  user_id uuid not null,
  key text not null,
  request_hash bytea not null,
  made_id uuid not null,
  body text,
  created_at timestamp with time zone not null,
  expires_at timestamp with time zone not null,
  constraint account_idempotency_keys_pkey PRIMARY KEY (user_id, key)
);
alter table account_idempotency_keys enable row level security;
alter table account_idempotency_keys force row level security;
CREATE INDEX account_idempotency_keys_expires_at_idx ON account_idempotency_keys USING btree (expires_at);
create policy account_idempotency_keys_expired on account_idempotency_keys as permissive for all to app_janitor using ((expires_at < now()));
create policy account_idempotency_keys_of_the_person on account_idempotency_keys as permissive for all to app_sign_in using ((user_id = (current_setting('app.user_id'::text))::uuid)) with check ((user_id = (current_setting('app.user_id'::text))::uuid));
grant delete, select on account_idempotency_keys to app_janitor;
grant delete, insert, select, update on account_idempotency_keys to app_sign_in;

create table address_reservations (
  email_key text not null,
  user_id uuid not null,
  expires_at timestamp with time zone not null,
  constraint address_reservations_pkey PRIMARY KEY (email_key, user_id)
);
CREATE INDEX address_reservations_expires_at_idx ON address_reservations USING btree (expires_at);
grant delete, select on address_reservations to app_janitor;
grant delete, insert, select, update on address_reservations to app_sign_in;

create table api_key_secrets (
  tenant_id uuid not null,
  key_hash bytea not null,
  key_id uuid not null,
  created_at timestamp with time zone not null,
  expires_at timestamp with time zone,
  constraint api_key_secrets_key_hash_check CHECK ((octet_length(key_hash) = 32)),
  constraint api_key_secrets_key_fkey FOREIGN KEY (tenant_id, key_id) REFERENCES api_keys(tenant_id, id) ON DELETE CASCADE,
  constraint api_key_secrets_pkey PRIMARY KEY (tenant_id, key_hash)
);
alter table api_key_secrets enable row level security;
alter table api_key_secrets force row level security;
CREATE INDEX api_key_secrets_expires_at_idx ON api_key_secrets USING btree (expires_at);
CREATE INDEX api_key_secrets_key_idx ON api_key_secrets USING btree (tenant_id, key_id);
create policy api_key_secrets_expired on api_key_secrets as permissive for all to app_janitor using ((expires_at < now()));
create policy api_key_secrets_of_the_tenant on api_key_secrets as permissive for all to app_service using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid)) with check ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
grant delete on api_key_secrets to app_janitor;
grant delete, insert, select, update on api_key_secrets to app_service;
grant select (tenant_id, key_hash, expires_at) on api_key_secrets to app_janitor;

create table api_keys (
  tenant_id uuid not null,
  id uuid not null,
  kind text not null,
  user_id uuid,
  name text not null,
  scopes text[] not null,
  hint text not null,
  created_by uuid not null,
  allowed_cidrs text[] not null,
  rate_limit integer,
  version integer not null,
  created_at timestamp with time zone not null,
  updated_at timestamp with time zone not null,
  expires_at timestamp with time zone,
  last_used_at timestamp with time zone,
  notified_at timestamp with time zone,
  constraint api_keys_kind_check CHECK ((kind = ANY (ARRAY['tenant'::text, 'personal'::text]))),
  constraint api_keys_user_id_check CHECK (((kind = 'personal'::text) = (user_id IS NOT NULL))),
  constraint api_keys_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(id),
  constraint api_keys_pkey PRIMARY KEY (tenant_id, id)
);
alter table api_keys enable row level security;
alter table api_keys force row level security;
CREATE INDEX api_keys_end_idx ON api_keys USING btree (expires_at) WHERE (expires_at IS NOT NULL);
CREATE INDEX api_keys_person_idx ON api_keys USING btree (user_id) WHERE (user_id IS NOT NULL);
CREATE INDEX api_keys_user_idx ON api_keys USING btree (tenant_id, user_id) WHERE (user_id IS NOT NULL);
create policy api_keys_of_the_person on api_keys as permissive for all to app_sign_in using ((user_id = (current_setting('app.user_id'::text))::uuid)) with check ((user_id = (current_setting('app.user_id'::text))::uuid));
create policy api_keys_of_the_tenant on api_keys as permissive for all to app_service using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid)) with check ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
create policy api_keys_that_expire on api_keys as permissive for select to app_key_expiry using (((expires_at IS NOT NULL) AND ((notified_at IS NULL) OR (expires_at < (now() - '90 days'::interval)))));
grant delete, insert, select, update on api_keys to app_service;
grant delete on api_keys to app_sign_in;
grant select (tenant_id, id, created_at, expires_at, notified_at) on api_keys to app_key_expiry;
grant select (tenant_id, id, user_id, name, created_at, updated_at) on api_keys to app_sign_in;

create table audit_erasures (
  tenant_id uuid not null,
  user_id uuid not null,
  constraint audit_erasures_pkey PRIMARY KEY (tenant_id, user_id)
);
alter table audit_erasures enable row level security;
alter table audit_erasures force row level security;
create policy audit_erasures_at_sign_in on audit_erasures as permissive for insert to app_sign_in with check (true);
create policy audit_erasures_of_the_tenant on audit_erasures as permissive for all to app_service using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid)) with check ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
create policy audit_erasures_to_be_erased on audit_erasures as permissive for all to app_eraser using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
create policy audit_erasures_to_carry_out on audit_erasures as permissive for all to app_audit using (true);
grant delete, select on audit_erasures to app_audit;
grant delete, select on audit_erasures to app_eraser;
grant insert, select on audit_erasures to app_service;
grant insert on audit_erasures to app_sign_in;

create table audit_keys (
  id uuid not null,
  public_key bytea not null,
  private_key text not null,
  created_at timestamp with time zone not null,
  constraint audit_keys_pkey PRIMARY KEY (id)
);
alter table audit_keys enable row level security;
alter table audit_keys force row level security;
create policy audit_keys_public on audit_keys as permissive for select to app_service using (true);
create policy audit_keys_to_sign on audit_keys as permissive for all to app_audit using (true) with check (true);
grant insert, select on audit_keys to app_audit;
grant select (id, public_key, created_at) on audit_keys to app_service;

create table audit_leaves (
  tenant_id uuid not null,
  leaf_index bigint not null,
  entry_id uuid not null,
  hash bytea not null,
  constraint audit_leaves_pkey PRIMARY KEY (tenant_id, leaf_index),
  constraint audit_leaves_entry_key UNIQUE (tenant_id, entry_id)
);
alter table audit_leaves enable row level security;
alter table audit_leaves force row level security;
create policy audit_leaves_of_the_tenant on audit_leaves as permissive for all to app_service using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid)) with check ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
create policy audit_leaves_to_be_erased on audit_leaves as permissive for all to app_eraser using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
create policy audit_leaves_to_fold on audit_leaves as permissive for all to app_audit using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid)) with check ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
grant insert, select on audit_leaves to app_audit;
grant delete, select on audit_leaves to app_eraser;
grant select on audit_leaves to app_service;

create table audit_log (
  tenant_id uuid not null,
  id uuid not null,
  occurred_at timestamp with time zone not null,
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
  constraint audit_log_outcome_check CHECK ((outcome = ANY (ARRAY['success'::text, 'denied'::text, 'failure'::text]))),
  constraint audit_log_pkey PRIMARY KEY (tenant_id, id)
);
alter table audit_log enable row level security;
alter table audit_log force row level security;
CREATE INDEX audit_log_action_idx ON audit_log USING btree (tenant_id, action, id);
CREATE INDEX audit_log_actor_idx ON audit_log USING btree (tenant_id, actor_id, id);
CREATE INDEX audit_log_occurred_at_idx ON audit_log USING btree (occurred_at);
CREATE INDEX audit_log_target_idx ON audit_log USING btree (tenant_id, target_id, id);
create policy audit_log_at_sign_in on audit_log as permissive for insert to app_sign_in with check (true);
create policy audit_log_expired on audit_log as permissive for all to app_janitor using ((occurred_at < (now() - '29 days'::interval)));
create policy audit_log_of_refusals on audit_log as permissive for insert to app_audit with check ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
create policy audit_log_of_the_tenant on audit_log as permissive for all to app_service using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid)) with check ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
create policy audit_log_to_be_erased on audit_log as permissive for all to app_eraser using (((tenant_id = (current_setting('app.tenant_id'::text))::uuid) AND (occurred_at < (now() - '29 days'::interval))));
create policy audit_log_to_fold on audit_log as permissive for select to app_audit using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
grant insert, select on audit_log to app_audit;
grant delete on audit_log to app_eraser;
grant delete on audit_log to app_janitor;
grant insert, select on audit_log to app_service;
grant insert on audit_log to app_sign_in;
grant select (tenant_id, id, occurred_at) on audit_log to app_eraser;
grant select (tenant_id, id, occurred_at) on audit_log to app_janitor;

create table audit_nodes (
  tenant_id uuid not null,
  level smallint not null,
  node_index bigint not null,
  hash bytea not null,
  constraint audit_nodes_pkey PRIMARY KEY (tenant_id, level, node_index)
);
alter table audit_nodes enable row level security;
alter table audit_nodes force row level security;
create policy audit_nodes_of_the_tenant on audit_nodes as permissive for all to app_service using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid)) with check ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
create policy audit_nodes_to_be_erased on audit_nodes as permissive for all to app_eraser using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
create policy audit_nodes_to_fold on audit_nodes as permissive for all to app_audit using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid)) with check ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
grant insert, select on audit_nodes to app_audit;
grant delete, select on audit_nodes to app_eraser;
grant select on audit_nodes to app_service;

create table audit_pending (
  tenant_id uuid not null,
  entry_id uuid not null,
  constraint audit_pending_pkey PRIMARY KEY (tenant_id, entry_id)
);
alter table audit_pending enable row level security;
alter table audit_pending force row level security;
create policy audit_pending_at_sign_in on audit_pending as permissive for insert to app_sign_in with check (true);
create policy audit_pending_of_the_tenant on audit_pending as permissive for all to app_service using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid)) with check ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
create policy audit_pending_to_be_erased on audit_pending as permissive for all to app_eraser using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
create policy audit_pending_to_fold on audit_pending as permissive for all to app_audit using (true) with check ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
grant delete, insert, select on audit_pending to app_audit;
grant delete, select on audit_pending to app_eraser;
grant insert, select on audit_pending to app_service;
grant insert on audit_pending to app_sign_in;

create table audit_personal (
  tenant_id uuid not null,
  entry_id uuid not null,
  user_id uuid not null,
  data json not null,
  salts json not null,
  constraint audit_personal_pkey PRIMARY KEY (tenant_id, entry_id, user_id)
);
alter table audit_personal enable row level security;
alter table audit_personal force row level security;
CREATE INDEX audit_personal_user_idx ON audit_personal USING btree (user_id, tenant_id);
create policy audit_personal_at_sign_in on audit_personal as permissive for insert to app_sign_in with check (true);
create policy audit_personal_expired on audit_personal as permissive for all to app_janitor using (true);
create policy audit_personal_of_the_tenant on audit_personal as permissive for all to app_service using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid)) with check ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
create policy audit_personal_to_be_erased on audit_personal as permissive for all to app_eraser using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
create policy audit_personal_to_erase on audit_personal as permissive for all to app_audit using (true) with check ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
grant delete, insert, select on audit_personal to app_audit;
grant delete, select on audit_personal to app_eraser;
grant delete on audit_personal to app_janitor;
grant insert, select on audit_personal to app_service;
grant insert on audit_personal to app_sign_in;
grant select (tenant_id, entry_id, user_id) on audit_personal to app_janitor;

create table audit_refusals (
  tenant_id uuid not null,
  hour timestamp with time zone not null,
  key bytea not null,
  anonymous boolean not null,
  entry json not null,
  count integer not null,
  constraint audit_refusals_key_check CHECK ((octet_length(key) = 32)),
  constraint audit_refusals_pkey PRIMARY KEY (tenant_id, hour, key)
);
alter table audit_refusals enable row level security;
alter table audit_refusals force row level security;
create policy audit_refusals_of_the_tenant on audit_refusals as permissive for all to app_service using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid)) with check ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
create policy audit_refusals_to_be_erased on audit_refusals as permissive for all to app_eraser using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
create policy audit_refusals_to_write on audit_refusals as permissive for all to app_audit using (true);
grant delete, select on audit_refusals to app_audit;
grant delete, select on audit_refusals to app_eraser;
grant insert, select, update on audit_refusals to app_service;

create table audit_trees (
  tenant_id uuid not null,
  size bigint not null,
  root_hash bytea not null,
  signed_at timestamp with time zone not null,
  key_id uuid not null,
  note text not null,
  announced_at timestamp with time zone,
  announced_size bigint not null default 0,
  constraint audit_trees_pkey PRIMARY KEY (tenant_id)
);
alter table audit_trees enable row level security;
alter table audit_trees force row level security;
create policy audit_trees_of_the_tenant on audit_trees as permissive for all to app_service using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid)) with check ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
create policy audit_trees_to_be_erased on audit_trees as permissive for all to app_eraser using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
create policy audit_trees_to_fold on audit_trees as permissive for all to app_audit using (true) with check ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
grant insert, select, update on audit_trees to app_audit;
grant delete, select on audit_trees to app_eraser;
grant select on audit_trees to app_service;

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
  next_attempt_at timestamp with time zone,
  requested_at timestamp with time zone,
  created_at timestamp with time zone not null,
  completed_at timestamp with time zone,
  constraint deliveries_due_check CHECK (((status = ANY (ARRAY['pending'::text, 'retrying'::text])) = (next_attempt_at IS NOT NULL))),
  constraint deliveries_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'succeeded'::text, 'retrying'::text, 'failed'::text, 'cancelled'::text, 'filtered'::text, 'disabled'::text]))),
  constraint deliveries_pkey PRIMARY KEY (tenant_id, id)
);
alter table deliveries enable row level security;
alter table deliveries force row level security;
CREATE INDEX deliveries_aggregate_idx ON deliveries USING btree (tenant_id, endpoint_id, aggregate_id, sequence) WHERE (status = ANY (ARRAY['pending'::text, 'retrying'::text]));
CREATE INDEX deliveries_due_idx ON deliveries USING btree (tenant_id, endpoint_id, status, next_attempt_at, id) WHERE (status = ANY (ARRAY['pending'::text, 'retrying'::text]));
CREATE INDEX deliveries_endpoint_idx ON deliveries USING btree (tenant_id, endpoint_id, id);
CREATE INDEX deliveries_event_order_idx ON deliveries USING btree (tenant_id, event_id, ((status = 'filtered'::text)), id);
CREATE INDEX deliveries_status_idx ON deliveries USING btree (tenant_id, status, id);
CREATE INDEX deliveries_type_idx ON deliveries USING btree (tenant_id, event_type, id);
create policy deliveries_expired on deliveries as permissive for all to app_janitor using ((id < ((lpad(to_hex(((EXTRACT(epoch FROM (now() - '1 day'::interval)) * (1000)::numeric))::bigint), 12, '0'::text) || repeat('0'::text, 20)))::uuid));
create policy deliveries_of_the_tenant on deliveries as permissive for all to app_service using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid)) with check ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
create policy deliveries_waiting on deliveries as permissive for select to app_dispatcher using ((status = ANY (ARRAY['pending'::text, 'retrying'::text])));
grant delete on deliveries to app_janitor;
grant delete, insert, select, update on deliveries to app_service;
grant select (tenant_id, id, endpoint_id, status, next_attempt_at) on deliveries to app_dispatcher;
grant select (tenant_id, id) on deliveries to app_janitor;

create table delivery_attempts (
  tenant_id uuid not null,
  delivery_id uuid not null,
  number integer not null,
  endpoint_id uuid not null,
  started_at timestamp with time zone not null,
  duration_ms integer not null,
  response_status smallint,
  response_body text,
  error text,
  succeeded boolean not null,
  constraint delivery_attempts_pkey PRIMARY KEY (tenant_id, delivery_id, number)
);
alter table delivery_attempts enable row level security;
alter table delivery_attempts force row level security;
CREATE INDEX delivery_attempts_endpoint_idx ON delivery_attempts USING btree (tenant_id, endpoint_id, started_at);
create policy delivery_attempts_expired on delivery_attempts as permissive for all to app_janitor using ((delivery_id < ((lpad(to_hex(((EXTRACT(epoch FROM (now() - '1 day'::interval)) * (1000)::numeric))::bigint), 12, '0'::text) || repeat('0'::text, 20)))::uuid));
create policy delivery_attempts_of_the_tenant on delivery_attempts as permissive for all to app_service using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid)) with check ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
grant delete on delivery_attempts to app_janitor;
grant delete, insert, select, update on delivery_attempts to app_service;
grant select (tenant_id, delivery_id, number) on delivery_attempts to app_janitor;

create table encryption_keys (
  kid text not null,
  encrypted text not null,
  created_at timestamp with time zone not null,
  constraint encryption_keys_pkey PRIMARY KEY (kid)
);
alter table encryption_keys enable row level security;
alter table encryption_keys force row level security;
create policy encryption_keys_to_compare on encryption_keys as permissive for all to app_keys using (true) with check (true);
grant delete, insert, select, update on encryption_keys to app_keys;

create table events (
  tenant_id uuid not null,
  id uuid not null,
  type text not null,
  aggregate_id uuid,
  sequence integer,
  event_id text,
  data json not null,
  created_at timestamp with time zone not null,
  traceparent text,
  filtered_count integer,
  constraint events_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(id),
  constraint events_pkey PRIMARY KEY (tenant_id, id)
);
alter table events enable row level security;
alter table events force row level security;
CREATE INDEX events_created_at_idx ON events USING btree (created_at);
CREATE INDEX events_type_idx ON events USING btree (tenant_id, type, id);
CREATE UNIQUE INDEX events_event_id_key ON events USING btree (tenant_id, event_id) WHERE (event_id IS NOT NULL);
CREATE UNIQUE INDEX events_sequence_key ON events USING btree (tenant_id, aggregate_id, sequence) WHERE (aggregate_id IS NOT NULL);
create policy events_at_sign_in on events as permissive for insert to app_sign_in with check (true);
create policy events_expired on events as permissive for all to app_janitor using ((created_at < (now() - '1 day'::interval)));
create policy events_of_the_audit_log on events as permissive for insert to app_audit with check ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
create policy events_of_the_tenant on events as permissive for all to app_service using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid)) with check ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
grant insert on events to app_audit;
grant delete on events to app_janitor;
grant delete, insert, select, update on events to app_service;
grant insert on events to app_sign_in;
grant select (tenant_id, id, created_at) on events to app_janitor;

create table idempotency_keys (
  tenant_id uuid not null,
  caller text not null,
  key text not null,
  request_hash bytea not null,
  status smallint not null,
  headers jsonb not null,
  body text not null,
  created_at timestamp with time zone not null,
  expires_at timestamp with time zone not null,
  constraint idempotency_keys_status_check CHECK (((status >= 200) AND (status <= 299))),
  constraint idempotency_keys_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(id),
  constraint idempotency_keys_pkey PRIMARY KEY (tenant_id, caller, key)
);
alter table idempotency_keys enable row level security;
alter table idempotency_keys force row level security;
CREATE INDEX idempotency_keys_expires_at_idx ON idempotency_keys USING btree (expires_at);
create policy idempotency_keys_expired on idempotency_keys as permissive for all to app_janitor using ((expires_at < now()));
create policy idempotency_keys_of_the_tenant on idempotency_keys as permissive for all to app_service using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid)) with check ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
grant delete, select on idempotency_keys to app_janitor;
grant delete, insert, select, update on idempotency_keys to app_service;

create table invitations (
  tenant_id uuid not null,
  id uuid not null,
  email text not null,
  email_key text not null,
  role text not null,
  token_hash bytea not null,
  invited_by uuid not null,
  version integer not null,
  created_at timestamp with time zone not null,
  expires_at timestamp with time zone not null,
  constraint invitations_token_hash_check CHECK ((octet_length(token_hash) = 32)),
  constraint invitations_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(id),
  constraint invitations_pkey PRIMARY KEY (tenant_id, id),
  constraint invitations_email_key_key UNIQUE (tenant_id, email_key),
  constraint invitations_token_hash_key UNIQUE (tenant_id, token_hash)
);
alter table invitations enable row level security;
alter table invitations force row level security;
CREATE INDEX invitations_expires_at_idx ON invitations USING btree (expires_at);
create policy invitations_expired on invitations as permissive for all to app_janitor using ((expires_at < (now() - '30 days'::interval)));
create policy invitations_of_the_tenant on invitations as permissive for all to app_service using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid)) with check ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
grant delete on invitations to app_janitor;
grant delete, insert, select, update on invitations to app_service;
grant select (tenant_id, id, expires_at) on invitations to app_janitor;

create table known_networks (
  user_id uuid not null,
  network_hash bytea not null,
  expires_at timestamp with time zone not null,
  constraint known_networks_pkey PRIMARY KEY (user_id, network_hash)
);
alter table known_networks enable row level security;
alter table known_networks force row level security;
CREATE INDEX known_networks_expires_at_idx ON known_networks USING btree (expires_at);
create policy known_networks_expired on known_networks as permissive for all to app_janitor using ((expires_at < now()));
create policy known_networks_of_the_person on known_networks as permissive for all to app_sign_in using ((user_id = (current_setting('app.user_id'::text))::uuid)) with check ((user_id = (current_setting('app.user_id'::text))::uuid));
grant delete, select on known_networks to app_janitor;
grant delete, insert, select, update on known_networks to app_sign_in;

create table mail_outbox (
  tenant_id uuid not null,
  id uuid not null,
  template text not null,
  sealed text not null,
  created_at timestamp with time zone not null,
  next_attempt_at timestamp with time zone not null,
  attempts integer not null default 0,
  constraint mail_outbox_pkey PRIMARY KEY (tenant_id, id)
);
alter table mail_outbox enable row level security;
alter table mail_outbox force row level security;
CREATE INDEX mail_outbox_next_attempt_at_idx ON mail_outbox USING btree (next_attempt_at);
create policy mail_outbox_at_sign_in on mail_outbox as permissive for insert to app_sign_in with check (true);
create policy mail_outbox_of_the_tenant on mail_outbox as permissive for all to app_service using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid)) with check ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
create policy mail_outbox_to_be_erased on mail_outbox as permissive for all to app_eraser using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
create policy mail_outbox_to_send on mail_outbox as permissive for all to app_mail using (true) with check (true);
grant delete, select on mail_outbox to app_eraser;
grant delete, insert, select on mail_outbox to app_mail;
grant insert, select on mail_outbox to app_service;
grant insert on mail_outbox to app_sign_in;
grant update (next_attempt_at, attempts) on mail_outbox to app_mail;

create table mail_suppressions (
  address_hash bytea not null,
  reason text not null,
  created_at timestamp with time zone not null,
  expires_at timestamp with time zone not null,
  constraint mail_suppressions_address_hash_check CHECK ((octet_length(address_hash) = 32)),
  constraint mail_suppressions_pkey PRIMARY KEY (address_hash)
);
alter table mail_suppressions enable row level security;
alter table mail_suppressions force row level security;
CREATE INDEX mail_suppressions_expires_at_idx ON mail_suppressions USING btree (expires_at);
create policy mail_suppressions_expired on mail_suppressions as permissive for all to app_janitor using ((expires_at < now()));
create policy mail_suppressions_to_send on mail_suppressions as permissive for all to app_mail using (true) with check (true);
grant delete, select on mail_suppressions to app_janitor;
grant delete, insert, select, update on mail_suppressions to app_mail;

create table memberships (
  tenant_id uuid not null,
  user_id uuid not null,
  role text not null,
  created_at timestamp with time zone not null,
  last_used_at timestamp with time zone not null,
  status text not null default 'active'::text,
  managed_by text not null default 'user'::text,
  version integer not null default 1,
  founder boolean not null default (CURRENT_USER = 'app_sign_in'::name),
  constraint memberships_managed_by_check CHECK ((managed_by = ANY (ARRAY['user'::text, 'directory'::text]))) NOT VALID,
  constraint memberships_role_check CHECK ((role ~ '^[a-z][a-z0-9_-]{0,49}$'::text)) NOT VALID,
  constraint memberships_status_check CHECK ((status = ANY (ARRAY['active'::text, 'suspended'::text, 'unconfirmed'::text]))) NOT VALID,
  constraint memberships_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(id),
  constraint memberships_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id),
  constraint memberships_pkey PRIMARY KEY (tenant_id, user_id)
);
alter table memberships enable row level security;
alter table memberships force row level security;
CREATE INDEX memberships_user_id_idx ON memberships USING btree (user_id);
CREATE UNIQUE INDEX memberships_founder_key ON memberships USING btree (tenant_id) WHERE founder;
create policy memberships_at_registration on memberships as permissive for insert to app_sign_in with check (((tenant_id = (current_setting('app.tenant_id'::text))::uuid) AND founder AND (tenant_id > ((lpad(to_hex(((EXTRACT(epoch FROM (now() - '00:05:00'::interval)) * (1000)::numeric))::bigint), 12, '0'::text) || repeat('0'::text, 20)))::uuid) AND (tenant_id < ((lpad(to_hex(((EXTRACT(epoch FROM (now() + '00:05:00'::interval)) * (1000)::numeric))::bigint), 12, '0'::text) || repeat('0'::text, 20)))::uuid)));
create policy memberships_at_sign_in on memberships as permissive for select to app_sign_in using ((user_id = (current_setting('app.user_id'::text))::uuid));
create policy memberships_for_members on memberships as permissive for select to app_members using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
create policy memberships_left_by_the_person on memberships as permissive for delete to app_sign_in using (((user_id = (current_setting('app.user_id'::text))::uuid) AND ((NOT founder) OR (tenant_id < ((lpad(to_hex(((EXTRACT(epoch FROM (now() - '00:05:00'::interval)) * (1000)::numeric))::bigint), 12, '0'::text) || repeat('0'::text, 20)))::uuid))));
create policy memberships_of_the_person on memberships as permissive for update to app_sign_in using ((user_id = (current_setting('app.user_id'::text))::uuid)) with check ((user_id = (current_setting('app.user_id'::text))::uuid));
create policy memberships_of_the_tenant on memberships as permissive for all to app_service using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid)) with check ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
grant select on memberships to app_members;
grant delete, insert, select, update on memberships to app_service;
grant delete, insert, select on memberships to app_sign_in;
grant update (status, version) on memberships to app_sign_in;

create table migrations (
  id integer not null default nextval('migrations_id_seq'::regclass),
  "timestamp" bigint not null,
  name character varying not null,
  constraint "PK_8c82d7f526340ab734260ea46be" PRIMARY KEY (id)
);
grant select on migrations to app_service;

create table one_time_tokens (
  subject_id uuid not null,
  token_hash bytea not null,
  kind text not null,
  data json not null,
  created_at timestamp with time zone not null,
  expires_at timestamp with time zone not null,
  spent_at timestamp with time zone,
  constraint one_time_tokens_token_hash_check CHECK ((octet_length(token_hash) = 32)),
  constraint one_time_tokens_pkey PRIMARY KEY (subject_id, token_hash)
);
alter table one_time_tokens enable row level security;
alter table one_time_tokens force row level security;
CREATE INDEX one_time_tokens_expires_at_idx ON one_time_tokens USING btree (expires_at);
create policy one_time_tokens_expired on one_time_tokens as permissive for all to app_janitor using ((expires_at < now()));
create policy one_time_tokens_of_the_subject on one_time_tokens as permissive for all to app_sign_in using ((subject_id = (current_setting('app.user_id'::text))::uuid)) with check ((subject_id = (current_setting('app.user_id'::text))::uuid));
grant delete, select on one_time_tokens to app_janitor;
grant delete, insert, select, update on one_time_tokens to app_sign_in;

create table order_history (
  tenant_id uuid not null,
  order_id uuid not null,
  id uuid not null,
  type text not null,
  from_status text,
  to_status text not null,
  actor_type text not null,
  actor_id uuid not null,
  created_at timestamp with time zone not null,
  constraint order_history_order_fkey FOREIGN KEY (tenant_id, order_id) REFERENCES orders(tenant_id, id) ON DELETE CASCADE,
  constraint order_history_pkey PRIMARY KEY (tenant_id, order_id, id)
);
alter table order_history enable row level security;
alter table order_history force row level security;
create policy order_history_of_the_tenant on order_history as permissive for all to app_service using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid)) with check ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
grant delete, insert, select, update on order_history to app_service;

create table order_items (
  tenant_id uuid not null,
  order_id uuid not null,
  "position" smallint not null,
  id uuid not null,
  product_id text not null,
  product_name text not null,
  quantity integer not null,
  unit_price numeric not null,
  constraint order_items_quantity_check CHECK (((quantity >= 1) AND (quantity <= 1000))),
  constraint order_items_unit_price_check CHECK (((unit_price > (0)::numeric) AND (unit_price < '1000000000000'::numeric))),
  constraint order_items_order_fkey FOREIGN KEY (tenant_id, order_id) REFERENCES orders(tenant_id, id) ON DELETE CASCADE,
  constraint order_items_pkey PRIMARY KEY (tenant_id, order_id, "position")
);
alter table order_items enable row level security;
alter table order_items force row level security;
create policy order_items_of_the_tenant on order_items as permissive for all to app_service using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid)) with check ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
grant delete, insert, select, update on order_items to app_service;

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
  created_at timestamp with time zone not null,
  updated_at timestamp with time zone not null,
  constraint orders_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text)),
  constraint orders_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'confirmed'::text, 'processing'::text, 'completed'::text, 'cancelled'::text]))),
  constraint orders_total_amount_check CHECK (((total_amount > (0)::numeric) AND (total_amount < '100000000000000000'::numeric))),
  constraint orders_version_check CHECK ((version > 0)),
  constraint orders_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(id),
  constraint orders_pkey PRIMARY KEY (tenant_id, id)
);
alter table orders enable row level security;
alter table orders force row level security;
CREATE INDEX orders_currency_idx ON orders USING btree (tenant_id, currency, id);
CREATE INDEX orders_customer_id_idx ON orders USING btree (tenant_id, customer_id, id);
CREATE INDEX orders_status_idx ON orders USING btree (tenant_id, status, id);
create policy orders_of_the_tenant on orders as permissive for all to app_service using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid)) with check ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
grant delete, insert, select, update on orders to app_service;

create table outbox (
  tenant_id uuid not null,
  "position" bigint not null generated always as identity,
  event_id uuid not null,
  endpoint_id uuid,
  constraint outbox_pkey PRIMARY KEY (tenant_id, "position")
);
alter table outbox set (autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=5000);
alter table outbox enable row level security;
alter table outbox force row level security;
create policy outbox_at_sign_in on outbox as permissive for insert to app_sign_in with check (true);
create policy outbox_of_the_audit_log on outbox as permissive for insert to app_audit with check ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
create policy outbox_of_the_tenant on outbox as permissive for all to app_service using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid)) with check ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
create policy outbox_to_discover on outbox as permissive for select to app_relay using (true);
grant insert on outbox to app_audit;
grant delete, insert, select, update on outbox to app_service;
grant insert on outbox to app_sign_in;
grant select (tenant_id, position, event_id) on outbox to app_relay;

create table recovery_codes (
  user_id uuid not null,
  "position" smallint not null,
  hash text not null,
  created_at timestamp with time zone not null,
  used_at timestamp with time zone,
  constraint recovery_codes_pkey PRIMARY KEY (user_id, "position")
);
alter table recovery_codes enable row level security;
alter table recovery_codes force row level security;
create policy recovery_codes_of_the_person on recovery_codes as permissive for all to app_sign_in using ((user_id = (current_setting('app.user_id'::text))::uuid)) with check ((user_id = (current_setting('app.user_id'::text))::uuid));
grant delete, insert, select, update on recovery_codes to app_sign_in;

create table refresh_tokens (
  tenant_id uuid not null,
  token_hash bytea not null,
  session_id uuid not null,
  created_at timestamp with time zone not null,
  expires_at timestamp with time zone not null,
  used_at timestamp with time zone,
  revoked_at timestamp with time zone,
  constraint refresh_tokens_token_hash_check CHECK ((octet_length(token_hash) = 32)),
  constraint refresh_tokens_session_fkey FOREIGN KEY (tenant_id, session_id) REFERENCES sessions(tenant_id, id) ON DELETE CASCADE,
  constraint refresh_tokens_pkey PRIMARY KEY (tenant_id, token_hash)
);
alter table refresh_tokens enable row level security;
alter table refresh_tokens force row level security;
CREATE INDEX refresh_tokens_session_idx ON refresh_tokens USING btree (tenant_id, session_id);
create policy refresh_tokens_of_the_tenant on refresh_tokens as permissive for all to app_service using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid)) with check ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
grant delete, insert, select, update on refresh_tokens to app_service;

create table roles (
  tenant_id uuid not null,
  name text not null,
  id uuid not null,
  description text,
  permissions text[] not null,
  version integer not null,
  created_at timestamp with time zone not null,
  updated_at timestamp with time zone not null,
  constraint roles_name_check CHECK (((name ~ '^[a-z][a-z0-9_-]{0,49}$'::text) AND (name <> ALL (ARRAY['owner'::text, 'admin'::text, 'member'::text, 'viewer'::text])))),
  constraint roles_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(id),
  constraint roles_pkey PRIMARY KEY (tenant_id, name),
  constraint roles_id_key UNIQUE (tenant_id, id)
);
alter table roles enable row level security;
alter table roles force row level security;
create policy roles_of_the_tenant on roles as permissive for all to app_service using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid)) with check ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
grant delete, insert, select, update on roles to app_service;

create table second_factor_challenges (
  user_id uuid not null,
  token_hash bytea not null,
  proof json not null,
  wanted_tenant uuid,
  tries integer not null,
  expires_at timestamp with time zone not null,
  spent_at timestamp with time zone,
  constraint second_factor_challenges_token_hash_check CHECK ((octet_length(token_hash) = 32)),
  constraint second_factor_challenges_pkey PRIMARY KEY (user_id, token_hash)
);
alter table second_factor_challenges enable row level security;
alter table second_factor_challenges force row level security;
CREATE INDEX second_factor_challenges_expires_at_idx ON second_factor_challenges USING btree (expires_at);
create policy second_factor_challenges_expired on second_factor_challenges as permissive for all to app_janitor using ((expires_at < now()));
create policy second_factor_challenges_of_the_person on second_factor_challenges as permissive for all to app_sign_in using ((user_id = (current_setting('app.user_id'::text))::uuid)) with check ((user_id = (current_setting('app.user_id'::text))::uuid));
grant delete, select on second_factor_challenges to app_janitor;
grant delete, insert, select, update on second_factor_challenges to app_sign_in;

create table sessions (
  tenant_id uuid not null,
  id uuid not null,
  user_id uuid not null,
  created_at timestamp with time zone not null,
  expires_at timestamp with time zone not null,
  revoked_at timestamp with time zone,
  kind text not null default 'tenant'::text,
  family_id uuid,
  signed_in_at timestamp with time zone,
  amr text[] not null default '{pwd}'::text[],
  acr text not null default 'aal1'::text,
  auth_time timestamp with time zone,
  connection_id uuid,
  last_seen_at timestamp with time zone,
  network text,
  user_agent text,
  constraint sessions_acr_check CHECK ((acr = ANY (ARRAY['aal1'::text, 'aal2'::text]))) NOT VALID,
  constraint sessions_home_check CHECK (((kind = 'tenant'::text) = (tenant_id <> user_id))) NOT VALID,
  constraint sessions_kind_check CHECK ((kind = ANY (ARRAY['tenant'::text, 'account'::text, 'restore'::text]))) NOT VALID,
  constraint sessions_pkey PRIMARY KEY (tenant_id, id)
);
alter table sessions enable row level security;
alter table sessions force row level security;
CREATE INDEX sessions_expires_at_idx ON sessions USING btree (expires_at);
CREATE INDEX sessions_person_idx ON sessions USING btree (user_id, id);
CREATE INDEX sessions_user_idx ON sessions USING btree (tenant_id, user_id);
create policy sessions_expired on sessions as permissive for all to app_janitor using ((expires_at < now()));
create policy sessions_of_the_person on sessions as permissive for all to app_sign_in using ((user_id = (current_setting('app.user_id'::text))::uuid)) with check ((user_id = (current_setting('app.user_id'::text))::uuid));
create policy sessions_of_the_tenant on sessions as permissive for all to app_service using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid)) with check ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
grant delete, select on sessions to app_janitor;
grant delete, insert, select, update on sessions to app_service;
grant delete, select on sessions to app_sign_in;
grant update (revoked_at) on sessions to app_sign_in;

create table sign_in_failures (
  key text not null,
  failures integer not null,
  window_started_at timestamp with time zone not null,
  blocked_until timestamp with time zone,
  expires_at timestamp with time zone not null,
  constraint sign_in_failures_pkey PRIMARY KEY (key)
);
CREATE INDEX sign_in_failures_expires_at_idx ON sign_in_failures USING btree (expires_at);
grant delete, select on sign_in_failures to app_janitor;
grant delete, insert, select, update on sign_in_failures to app_sign_in;

create table tenant_auth_state (
  tenant_id uuid not null,
  user_id uuid not null,
  epoch integer not null,
  constraint tenant_auth_state_pkey PRIMARY KEY (tenant_id, user_id)
);
alter table tenant_auth_state enable row level security;
alter table tenant_auth_state force row level security;
create policy tenant_auth_state_of_the_operator on tenant_auth_state as permissive for all to app_operator using (true) with check (true);
create policy tenant_auth_state_of_the_person on tenant_auth_state as permissive for all to app_sign_in using ((user_id = (current_setting('app.user_id'::text))::uuid)) with check ((user_id = (current_setting('app.user_id'::text))::uuid));
create policy tenant_auth_state_of_the_tenant on tenant_auth_state as permissive for all to app_service using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid)) with check ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
create policy tenant_auth_state_to_compare on tenant_auth_state as permissive for select to app_epochs using (true);
grant select on tenant_auth_state to app_epochs;
grant insert, select, update on tenant_auth_state to app_operator;
grant delete, insert, select, update on tenant_auth_state to app_service;
grant insert, select, update on tenant_auth_state to app_sign_in;

create table tenant_exports (
  tenant_id uuid not null,
  id uuid not null,
  created_by uuid not null,
  created_at timestamp with time zone not null,
  expires_at timestamp with time zone not null,
  version integer not null,
  constraint tenant_exports_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(id),
  constraint tenant_exports_pkey PRIMARY KEY (tenant_id, id)
);
alter table tenant_exports enable row level security;
alter table tenant_exports force row level security;
CREATE INDEX tenant_exports_expires_at_idx ON tenant_exports USING btree (expires_at);
create policy tenant_exports_expired on tenant_exports as permissive for all to app_janitor using ((expires_at < now()));
create policy tenant_exports_of_the_tenant on tenant_exports as permissive for all to app_service using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid)) with check ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
grant delete on tenant_exports to app_janitor;
grant delete, insert, select, update on tenant_exports to app_service;
grant select (tenant_id, id, expires_at) on tenant_exports to app_janitor;

create table tenant_usage (
  tenant_id uuid not null,
  day integer not null,
  name text not null,
  amount bigint not null,
  constraint tenant_usage_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(id),
  constraint tenant_usage_pkey PRIMARY KEY (tenant_id, day, name)
);
alter table tenant_usage enable row level security;
alter table tenant_usage force row level security;
create policy tenant_usage_of_the_tenant on tenant_usage as permissive for all to app_service using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid)) with check ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
create policy tenant_usage_to_be_erased on tenant_usage as permissive for all to app_eraser using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
grant delete, select on tenant_usage to app_eraser;
grant insert, select, update on tenant_usage to app_service;

create table tenants (
  id uuid not null,
  name text not null,
  created_at timestamp with time zone not null,
  suspended_at timestamp with time zone,
  version integer not null default 1,
  closed_at timestamp with time zone,
  second_factor text not null default 'optional'::text,
  second_factor_grace_days integer not null default 0,
  second_factor_since timestamp with time zone,
  session_idle_minutes integer,
  session_max_days integer,
  allowed_cidrs text[] not null default '{}'::text[],
  api_key_max_days integer,
  new_owner_id uuid,
  new_owner_at timestamp with time zone,
  constraint tenants_second_factor_check CHECK ((second_factor = ANY (ARRAY['optional'::text, 'required'::text]))) NOT VALID,
  constraint tenants_pkey PRIMARY KEY (id)
);
alter table tenants enable row level security;
alter table tenants force row level security;
CREATE INDEX tenants_closed_at_idx ON tenants USING btree (closed_at) WHERE (closed_at IS NOT NULL);
create policy tenants_at_sign_in on tenants as permissive for all to app_sign_in using ((id = (current_setting('app.tenant_id'::text))::uuid)) with check ((id = (current_setting('app.tenant_id'::text))::uuid));
create policy tenants_changed_by_the_tenant on tenants as permissive for update to app_service using ((id = (current_setting('app.tenant_id'::text))::uuid)) with check ((id = (current_setting('app.tenant_id'::text))::uuid));
create policy tenants_of_the_operator on tenants as permissive for all to app_operator using (true) with check (true);
create policy tenants_of_the_tenant on tenants as permissive for select to app_service using ((id = (current_setting('app.tenant_id'::text))::uuid));
create policy tenants_to_erase on tenants as permissive for all to app_eraser using ((closed_at < (now() - '30 days 01:00:00'::interval)));
grant delete on tenants to app_eraser;
grant select on tenants to app_operator;
grant select on tenants to app_service;
grant insert, select on tenants to app_sign_in;
grant select (id, closed_at) on tenants to app_eraser;
grant update (suspended_at) on tenants to app_operator;
grant update (name, version, closed_at, second_factor, second_factor_grace_days, second_factor_since, session_idle_minutes, session_max_days, allowed_cidrs, api_key_max_days, new_owner_id, new_owner_at) on tenants to app_service;

create table totp_factors (
  user_id uuid not null,
  secret text not null,
  created_at timestamp with time zone not null,
  confirmed_at timestamp with time zone,
  last_step bigint not null,
  constraint totp_factors_pkey PRIMARY KEY (user_id)
);
alter table totp_factors enable row level security;
alter table totp_factors force row level security;
create policy totp_factors_of_the_person on totp_factors as permissive for all to app_sign_in using ((user_id = (current_setting('app.user_id'::text))::uuid)) with check ((user_id = (current_setting('app.user_id'::text))::uuid));
create policy totp_factors_to_compare on totp_factors as permissive for select to app_keys using (true);
grant delete, insert, select, update on totp_factors to app_sign_in;
grant select (user_id, secret) on totp_factors to app_keys;

create table user_tenants (
  tenant_id uuid not null,
  user_id uuid not null,
  constraint user_tenants_pkey PRIMARY KEY (tenant_id, user_id)
);
alter table user_tenants enable row level security;
alter table user_tenants force row level security;
CREATE INDEX user_tenants_user_id_idx ON user_tenants USING btree (user_id);
create policy user_tenants_at_registration on user_tenants as permissive for insert to app_sign_in with check ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
create policy user_tenants_at_sign_in on user_tenants as permissive for select to app_sign_in using ((user_id = (current_setting('app.user_id'::text))::uuid));
create policy user_tenants_left_by_the_person on user_tenants as permissive for delete to app_sign_in using ((user_id = (current_setting('app.user_id'::text))::uuid));
create policy user_tenants_of_the_tenant on user_tenants as permissive for all to app_service using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid)) with check ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
grant delete, insert, select on user_tenants to app_service;
grant delete, insert, select on user_tenants to app_sign_in;

create table users (
  id uuid not null,
  email text not null,
  name text,
  password_hash text not null,
  created_at timestamp with time zone not null,
  email_key text,
  email_verified_at timestamp with time zone,
  erase_at timestamp with time zone,
  factor_reset_at timestamp with time zone,
  constraint users_pkey PRIMARY KEY (id)
);
alter table users enable row level security;
alter table users force row level security;
CREATE INDEX users_erase_at_idx ON users USING btree (erase_at) WHERE (erase_at IS NOT NULL);
CREATE INDEX users_without_key_idx ON users USING btree (id) WHERE (email_key IS NULL);
CREATE UNIQUE INDEX users_email_key ON users USING btree (lower(email));
CREATE UNIQUE INDEX users_email_key_unique ON users USING btree (email_key);
create policy users_at_sign_in on users as permissive for all to app_sign_in using (true) with check (true);
create policy users_for_members on users as permissive for select to app_members using (true);
grant delete, insert, select, update on users to app_sign_in;
grant select (id, email, name, email_key) on users to app_members;

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
  previous_secret_expires_at timestamp with time zone,
  enabled boolean not null,
  disabled_reason text,
  failing_since timestamp with time zone,
  version integer not null,
  created_at timestamp with time zone not null,
  updated_at timestamp with time zone not null,
  encrypted_parts text,
  consent text not null default 'given'::text,
  challenge text,
  constraint webhook_endpoints_consent_check CHECK ((consent = ANY (ARRAY['given'::text, 'pending'::text]))) NOT VALID,
  constraint webhook_endpoints_ordering_check CHECK ((ordering = ANY (ARRAY['none'::text, 'by_aggregate'::text]))),
  constraint webhook_endpoints_rate_limit_check CHECK (((rate_limit >= 1) AND (rate_limit <= 10000))),
  constraint webhook_endpoints_signature_check CHECK ((signature = ANY (ARRAY['v1'::text, 'v1a'::text]))),
  constraint webhook_endpoints_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(id),
  constraint webhook_endpoints_pkey PRIMARY KEY (tenant_id, id)
);
alter table webhook_endpoints enable row level security;
alter table webhook_endpoints force row level security;
create policy webhook_endpoints_of_the_tenant on webhook_endpoints as permissive for all to app_service using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid)) with check ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
create policy webhook_endpoints_to_compare on webhook_endpoints as permissive for select to app_keys using (true);
create policy webhook_endpoints_unencrypted on webhook_endpoints as permissive for select to app_dispatcher using (((encrypted_parts IS NULL) AND ((headers <> '{}'::jsonb) OR (POSITION(('?'::text) IN (url)) > 0))));
grant delete, insert, select, update on webhook_endpoints to app_service;
grant select (tenant_id) on webhook_endpoints to app_dispatcher;
grant select (tenant_id, id, secret) on webhook_endpoints to app_keys;

create table webhook_event_types (
  tenant_id uuid not null,
  name text not null,
  id uuid not null,
  description text,
  schema json not null,
  example json,
  version integer not null,
  created_at timestamp with time zone not null,
  updated_at timestamp with time zone not null,
  constraint webhook_event_types_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(id),
  constraint webhook_event_types_pkey PRIMARY KEY (tenant_id, name)
);
alter table webhook_event_types enable row level security;
alter table webhook_event_types force row level security;
create policy webhook_event_types_of_the_tenant on webhook_event_types as permissive for all to app_service using ((tenant_id = (current_setting('app.tenant_id'::text))::uuid)) with check ((tenant_id = (current_setting('app.tenant_id'::text))::uuid));
grant delete, insert, select, update on webhook_event_types to app_service;

create table webhook_shards (
  only_row boolean not null default true,
  count integer not null,
  constraint webhook_shards_count_check CHECK (((count >= 1) AND (count <= 256))),
  constraint webhook_shards_only_row_check CHECK (only_row),
  constraint webhook_shards_pkey PRIMARY KEY (only_row)
);
alter table webhook_shards enable row level security;
alter table webhook_shards force row level security;
create policy webhook_shards_of_the_operator on webhook_shards as permissive for all to app_operator using (true) with check (true);
create policy webhook_shards_of_workers on webhook_shards as permissive for all to app_dispatcher using (true) with check (true);
grant insert, select on webhook_shards to app_dispatcher;
grant insert, select on webhook_shards to app_operator;
grant update (count) on webhook_shards to app_operator;

-- extension plpgsql
-- schema bullmq
-- schema public
-- sequence migrations_id_seq
-- sequence outbox_position_seq
-- usage of schema public: app_audit usage
-- usage of schema public: app_dispatcher usage
-- usage of schema public: app_epochs usage
-- usage of schema public: app_eraser usage
-- usage of schema public: app_janitor usage
-- usage of schema public: app_key_expiry usage
-- usage of schema public: app_keys usage
-- usage of schema public: app_mail usage
-- usage of schema public: app_members usage
-- usage of schema public: app_operator usage
-- usage of schema public: app_relay usage
-- usage of schema public: app_service usage
-- usage of schema public: app_sign_in usage
