import { Client, escapeLiteral } from 'pg';
import { type Statement, toQuery } from '../../src/platform/database/sql/statement';

interface PlanNode {
  'Actual Rows': number;
  'Actual Loops': number;
  'Rows Removed by Filter'?: number;
  'Index Name'?: string;
  Plans?: PlanNode[];
}

/** What a statement did. */
export interface ExecutedPlan {
  /** The most rows that one of its nodes read or discarded. */
  rowsSeen: number;
  /** The names of the indexes that it searched. */
  indexes: string[];
}

/** Runs a statement as the service's login does for a tenant, with the plan that a prepared statement keeps. */
export async function explain(serviceUrl: string, tenantId: string, statement: Statement): Promise<ExecutedPlan> {
  return withPrepared(serviceUrl, tenantId, statement, async (client, execute) => {
    await client.query(`set plan_cache_mode = force_generic_plan`);
    const { rows } = await client.query(`explain (analyze, format json) ${execute}`);
    const [{ Plan: plan }] = (rows[0] as { 'QUERY PLAN': [{ Plan: PlanNode }] })['QUERY PLAN'];
    return { rowsSeen: rowsSeen(plan), indexes: [...new Set(indexes(plan))] };
  });
}

/** How often PostgreSQL planned a statement for its values when it was executed so many times on a connection. */
export async function customPlans(
  serviceUrl: string,
  tenantId: string,
  statement: Statement,
  executions: number,
): Promise<number> {
  return withPrepared(serviceUrl, tenantId, statement, async (client, execute) => {
    for (let i = 0; i < executions; i++) await client.query(execute);
    const { rows } = await client.query<{ custom: number }>(
      'select custom_plans::int as custom from pg_prepared_statements',
    );
    return rows[0]?.custom ?? NaN;
  });
}

async function withPrepared<T>(
  serviceUrl: string,
  tenantId: string,
  statement: Statement,
  work: (client: Client, execute: string) => Promise<T>,
): Promise<T> {
  const client = new Client({ connectionString: serviceUrl });
  await client.connect();
  try {
    await client.query(`select set_config('app.tenant_id', $1, false)`, [tenantId]);
    const { text, values = [] } = toQuery(statement, false);
    await client.query(`prepare prepared as ${text}`);
    return await work(client, `execute prepared(${(values as unknown[]).map(literal).join(', ')})`);
  } finally {
    await client.end();
  }
}

function literal(value: unknown): string {
  if (value === null) return 'null';
  if (value instanceof Date) return escapeLiteral(value.toISOString());
  if (!Array.isArray(value)) return escapeLiteral(String(value));
  const members = value.map((member: unknown) => (member === null ? 'null' : JSON.stringify(String(member))));
  return escapeLiteral(`{${members.join(',')}}`);
}

function rowsSeen(node: PlanNode): number {
  const own = (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)) * node['Actual Loops'];
  return Math.max(own, ...(node.Plans ?? []).map(rowsSeen));
}

function indexes(node: PlanNode): string[] {
  const name = node['Index Name'];
  return [...(name === undefined ? [] : [name]), ...(node.Plans ?? []).flatMap(indexes)];
}
