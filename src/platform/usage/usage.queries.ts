/** Statements of the counted amounts of tenants. Days are numbers of days since 1970-01-01 UTC. */
import { insertRows } from '../database/sql/insert-values';
import type { Row, Statement } from '../database/sql/statement';

/** The stored values of an amount: of a day, and of the days for which its rows are stored. */
export interface AmountRow extends Row {
  name: string;
  today: number;
  stored: number;
}

/** Adds to the amounts of a day. */
export function addAmounts(tenantId: string, day: number, amounts: ReadonlyMap<string, number>): Statement {
  return insertRows({
    name: 'tenant_usage_add',
    table: 'tenant_usage',
    shared: { tenant_id: ['uuid', tenantId], day: ['integer', day] },
    columns: { name: 'text', amount: 'bigint' },
    rows: [...amounts],
    suffix: 'on conflict (tenant_id, day, name) do update set amount = tenant_usage.amount + excluded.amount',
  });
}

/** The amounts as of a day; `storedDays` has the number of days for which the rows of an amount are stored. */
export function readAmounts(tenantId: string, day: number, storedDays: ReadonlyMap<string, number>): Statement {
  return {
    name: 'tenant_usage_read',
    text: `select kept.name,
                  coalesce(sum(u.amount) filter (where u.day = $2::integer), 0)::float8 as today,
                  coalesce(sum(u.amount) filter (where u.day > $2::integer - kept.days), 0)::float8 as stored
             from unnest($3::text[], $4::integer[]) as kept (name, days)
             left join tenant_usage u on u.tenant_id = $1 and u.name = kept.name
            group by kept.name`,
    values: [tenantId, day, [...storedDays.keys()], [...storedDays.values()]],
  };
}
