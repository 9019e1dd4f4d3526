/**
 * The statements of the hot routes, one round trip each. PostgreSQL makes the JSON of responses. Each names its tenant,
 * beside the policy.
 */
import { jsonTime as time } from '../platform/database/sql/json';
import type { SqlValue, Statement } from '../platform/database/sql/statement';
import type { DemoThing } from './demo-thing.entity';

const DEMO_THING_JSON = `json_build_object(
    'id', t.id, 'name', t.name, 'notes', t.notes,
    'version', t.version, 'created_at', ${time('t.created_at')}, 'updated_at', ${time('t.updated_at')})::text`;

/** Writes a demo thing. */
export function insertDemoThing(tenantId: string, demoThing: Omit<DemoThing, 'tenantId'>): Statement {
  return {
    name: 'demo_thing_insert',
    text: `insert into demo_things (tenant_id, id, name, notes, version, created_at, updated_at)
           values ($1, $2, $3, $4, $5, $6, $7)`,
    values: [
      tenantId,
      demoThing.id,
      demoThing.name,
      demoThing.notes,
      demoThing.version,
      demoThing.createdAt,
      demoThing.updatedAt,
    ],
  };
}

/** One demo thing as JSON, with its version. */
export function findDemoThingJson(tenantId: string, id: string): Statement {
  return {
    name: 'demo_thing_json',
    text: `select t.version, ${DEMO_THING_JSON} as json from demo_things t where t.tenant_id = $1 and t.id = $2`,
    values: [tenantId, id],
  };
}

/** The page after `afterId`, newest first; ask for one more than the page holds to see whether there is more. */
export function listDemoThingsJson(tenantId: string, afterId: string | undefined, limit: number): Statement {
  const values: SqlValue[] = [tenantId, limit];
  if (afterId !== undefined) values.push(afterId);
  const bound = afterId === undefined ? '' : ' and t.id < $3';
  return {
    name: afterId === undefined ? 'demo_things_first' : 'demo_things_next',
    text: `select t.id, ${DEMO_THING_JSON} as json from demo_things t
            where t.tenant_id = $1${bound} order by t.id desc limit $2`,
    values,
  };
}
