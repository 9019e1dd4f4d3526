/**
 * The first `$n` rows of a query that sorts them, `most` at most. For a limit that PostgreSQL does not know before it
 * plans, it expects a tenth of all rows: such a plan seems so expensive that it makes a new one for each execution of a
 * prepared statement. The constant lets it keep the plan. It fits a query whose best plan does not depend on values.
 */
export function firstRows(query: string, sortedBy: string, most: number, limit: `$${number}`): string {
  return `select * from (${query} order by ${sortedBy} limit ${most}) as first limit ${limit}`;
}
