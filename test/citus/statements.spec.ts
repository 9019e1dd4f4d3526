import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { PLACEMENTS } from '../../src/processes/tables';
import { lintForCitus } from '../harness/citus-lint';
import { readGolden } from '../harness/golden';
import { type CitusExceptions, reasonFor, statementsOnCitus } from '../harness/citus-statements';

describe('the statements that the service sends on Citus', () => {
  const statements = statementsOnCitus();
  const exceptions = JSON.parse(readGolden('citus-exceptions.json')) as CitusExceptions;

  it('are recorded, with the texts of the source', () => {
    const script = join(__dirname, '..', '..', 'scripts', 'record-citus-statements.mjs');
    const { status, stderr } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' });
    expect([stderr, status]).toEqual(['', 0]);
  });

  it('name one tenant by a parameter in each query, and have no form that Citus refuses; the exceptions are listed', async () => {
    const found: string[] = [];
    for (const { name, text } of statements) {
      const faults = await lintForCitus(text, PLACEMENTS);
      if (faults.length > 0 && reasonFor(exceptions.severalShards, name, text) === undefined) {
        found.push(`${name || text.slice(0, 120)}: ${faults.join('; ')}`);
      }
    }
    expect(found).toEqual([]);
  });

  it('have no needless exception', async () => {
    const needed = new Set<string>();
    for (const { name, text } of statements) {
      const reason = reasonFor(exceptions.severalShards, name, text);
      if (reason && (await lintForCitus(text, PLACEMENTS)).length > 0) needed.add(reason.key);
    }
    expect([...needed].sort()).toEqual(Object.keys(exceptions.severalShards).sort());
  });
});

describe('the rules', () => {
  it.each([
    ['select 1 from orders where id = $1', /does not bind orders/],
    [
      'select 1 from orders o where o.tenant_id = $1 and exists (select 1 from order_items i where i.tenant_id = o.tenant_id)',
      /does not bind order_items/,
    ],
    [
      'select 1 from orders o cross join lateral (select * from order_items where tenant_id = o.tenant_id) i where o.tenant_id = $1',
      /bind order_items/,
    ],
    [`select 1 from orders where tenant_id = '01a00000-0000-7000-8000-000000000001'`, /does not bind orders/],
    ['select 1 from orders where tenant_id = $1 or id = $2', /does not bind orders/],
    ['select 1 from orders where tenant_id = any ($1)', /does not bind orders/],
    ['select 1 from orders where tenant_id = $1 union all select 1 from orders', /does not bind orders/],
    ['update orders set notes = $2 where id = $1', /does not bind orders/],
    ['delete from orders where id = $1', /does not bind orders/],
    ['with x as (delete from orders where id = $1 returning id) select * from x', /does not bind orders/],
    ['update orders set notes = $2 where tenant_id = $1 returning to_char(created_at, $3)', /function in RETURNING/],
    ['insert into orders (tenant_id, id) values ($1, $2) returning current_timestamp', /function in RETURNING/],
    [
      'insert into orders (tenant_id, id) select $1, x from unnest($2::uuid[]) as x',
      /inserts a SELECT without a table/,
    ],
    [
      'with x as (select 1) insert into orders (tenant_id, id) select $1, $2 from x',
      /inserts a SELECT without a table/,
    ],
    ['insert into orders (tenant_id, id) values ($1, $2), (gen_random_uuid(), $3)', /does not insert the tenant/],
    ['insert into orders (id) values ($1)', /does not insert the tenant/],
    ['select 1 from orders, mail_suppressions where tenant_id = $1', /local table mail_suppressions/],
    [
      'with recursive t as (select tenant_id from orders union all select o.tenant_id from orders o) select * from t',
      /recurses/,
    ],
  ])('refuse %s', async (text, fault) => {
    expect((await lintForCitus(text, PLACEMENTS)).join('; ')).toMatch(fault);
  });

  it.each([
    'select 1 from orders where tenant_id = $1 and id = $2',
    'select 1 from orders o left join order_items i on i.tenant_id = o.tenant_id where o.tenant_id = $1::uuid',
    'select (select count(*) from order_items i where i.tenant_id = $1) from orders o where $1 = o.tenant_id',
    'insert into orders (tenant_id, id) values ($1, $2), ($1, $3) on conflict do nothing returning 1, id',
    'insert into order_items (tenant_id, id) select o.tenant_id, o.id from orders o where o.tenant_id = $1',
    'select 1 from users where email_key = $1',
    'with x as (update orders set notes = $2 where tenant_id = $1 returning *) select to_json(x) from x',
    'select pg_advisory_xact_lock($1)',
  ])('accept %s', async (text) => {
    expect(await lintForCitus(text, PLACEMENTS)).toEqual([]);
  });
});
