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
  const client = new Client({ connectionString: serviceUrl });
  await client.connect();
  try {
    await client.query(`select set_config('app.tenant_id', $1, false), set_config('plan_cache_mode', $2, false)`, [
      tenantId,
      'force_generic_plan',
    ]);
    const { text, values = [] } = toQuery(statement, false);
    await client.query(`prepare explained as ${text}`);
    const literals = (values as unknown[]).map(literal).join(', ');
    const { rows } = await client.query(`explain (analyze, format json) execute explained(${literals})`);
    const [{ Plan: plan }] = (rows[0] as { 'QUERY PLAN': [{ Plan: PlanNode }] })['QUERY PLAN'];
    return { rowsSeen: rowsSeen(plan), indexes: [...new Set(indexes(plan))] };
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
