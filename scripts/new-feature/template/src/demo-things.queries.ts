/**
 * The statements of the frequent routes, one round trip each. PostgreSQL makes the JSON of responses. Each names its
 * tenant, in addition to the policy. Their columns are those of the entity.
 */
import { jsonOf, rowsOf } from '../platform/database/columns';
import { insertValues } from '../platform/database/sql/insert-values';
import { jsonObject } from '../platform/database/sql/json';
import type { SqlValue, Statement } from '../platform/database/sql/statement';
import { DemoThing } from './demo-thing.entity';

const DEMO_THING_JSON = jsonObject(jsonOf(DemoThing, 't'));

/** Writes a demo thing. */
export function insertDemoThing(tenantId: string, demoThing: Omit<DemoThing, 'tenantId'>): Statement[] {
  return insertValues({
    name: 'demo_thing_insert',
    table: 'demo_things',
    shared: { tenant_id: ['uuid', tenantId] },
    ...rowsOf(DemoThing, [demoThing]),
  });
}

/** One demo thing as JSON, with its version. */
export function findDemoThingJson(tenantId: string, id: string): Statement {
  return {
    name: 'demo_thing_json',
    text: `select t.version, ${DEMO_THING_JSON} as json from demo_things t where t.tenant_id = $1 and t.id = $2`,
    values: [tenantId, id],
  };
}

/** The page after `afterId`, newest first; a limit of one more than the page shows whether there is another one. */
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
