/** Types of a tenant's own events. */
import { jsonTime } from '../../platform/database/sql/json';
import type { Row, Statement } from '../../platform/database/sql/statement';

/** A type `t` as the API shows it, in the fields of `EventTypeView`. */
const EVENT_TYPE_JSON = `json_build_object(
    'name', t.name, 'description', t.description, 'schema_of', 'data', 'schema', t.schema, 'example', t.example,
    'version', t.version, 'created_at', ${jsonTime('t.created_at')}, 'updated_at', ${jsonTime('t.updated_at')})::text`;

export interface EventTypeRow extends Row {
  id: string;
  version: number;
  created_at: Date;
  json: string;
}

export function findEventType(tenantId: string, name: string): Statement {
  return {
    name: 'event_type_json',
    text: `select t.id, t.version, t.created_at, ${EVENT_TYPE_JSON} as json
             from webhook_event_types t where t.tenant_id = $1 and t.name = $2`,
    values: [tenantId, name],
  };
}

/** All of a tenant's, which are few. */
export function listEventTypes(tenantId: string): Statement {
  return {
    name: 'event_types_json',
    text: `select ${EVENT_TYPE_JSON} as json from webhook_event_types t where t.tenant_id = $1 order by t.name`,
    values: [tenantId],
  };
}

/** Serializes changes to a tenant's types. */
export function lockEventTypes(tenantId: string): Statement {
  return {
    name: 'event_types_lock',
    text: `select pg_advisory_xact_lock(hashtextextended('webhook_event_types/' || $1::text, 7))`,
    values: [tenantId],
  };
}

/** The number of a tenant's other types, and the length of their schemas and examples. */
export function measureOtherEventTypes(tenantId: string, name: string): Statement {
  return {
    name: 'event_types_measure',
    text: `select count(*)::int as count,
                  coalesce(sum(octet_length(schema::text) + coalesce(octet_length(example::text), 0)), 0)::int as bytes
             from webhook_event_types where tenant_id = $1 and name <> $2`,
    values: [tenantId, name],
  };
}

/** The written columns of a type. */
export interface EventTypeValues {
  id: string;
  description: string | null;
  /** JSON text, as that of the example. */
  schema: string;
  example: string | null;
  version: number;
  createdAt: Date;
  updatedAt: Date;
}

/** Writes a type, in place of the one of this name; gives it as the API shows it. */
export function saveEventType(tenantId: string, name: string, values: EventTypeValues): Statement {
  return {
    name: 'event_type_save',
    text: `with t as (insert into webhook_event_types
             (tenant_id, name, id, description, schema, example, version, created_at, updated_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
           on conflict (tenant_id, name) do update set id = excluded.id, description = excluded.description,
             schema = excluded.schema, example = excluded.example, version = excluded.version,
             created_at = excluded.created_at, updated_at = excluded.updated_at
           returning *)
           select ${EVENT_TYPE_JSON} as json from t`,
    values: [
      tenantId,
      name,
      values.id,
      values.description,
      values.schema,
      values.example,
      values.version,
      values.createdAt,
      values.updatedAt,
    ],
  };
}

export function deleteEventType(tenantId: string, name: string): Statement {
  return {
    name: 'event_type_delete',
    text: 'delete from webhook_event_types where tenant_id = $1 and name = $2',
    values: [tenantId, name],
  };
}

export function findSchema(tenantId: string, name: string): Statement {
  return {
    name: 'event_type_schema',
    text: `select id, version, schema::text as schema from webhook_event_types where tenant_id = $1 and name = $2`,
    values: [tenantId, name],
  };
}

/**
 * Fails with a division by zero unless a type is registered with this id and version (or, for null, is not): later
 * statements of the transaction then do not run.
 */
export function assertRegistered(tenantId: string, name: string, id: string | null, version: number): Statement {
  return {
    name: 'event_type_assert',
    text: `select 1 / coalesce((select id is not distinct from $3::uuid and version = $4 from webhook_event_types
                                 where tenant_id = $1 and name = $2), $3::uuid is null)::int`,
    values: [tenantId, name, id, version],
  };
}
