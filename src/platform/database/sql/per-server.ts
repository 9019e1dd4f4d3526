/**
 * The same query for each server of Citus separately. A query over all shards fails if one server is away; here the
 * others still answer.
 */
import type { Row, SqlValue, Statement } from './statement';

/** The table of a statement that reads one distributed table. */
const TABLE = /\bfrom (\w+)\b/i;
/** A timestamp as PostgreSQL writes it into JSON. */
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?[+-]\d\d:\d\d$/;

/** The answer of one server: JSON of its rows, or the error. */
export interface ServerAnswer extends Row {
  success: boolean;
  result: string;
}

/**
 * The statement, asked of the shards of each server by a connection of its own as the current role.
 * @param statement reads one distributed table, and neither groups nor sorts over several tenants
 */
export function perServer({ name, text, values }: Statement): Statement {
  const table = TABLE.exec(text)?.[1];
  if (table === undefined) throw new Error(`${name} reads no table`);
  const literals = text.replace(/\$(\d+)/g, (_, number) => literal(values[Number(number) - 1] as SqlValue));
  // The text goes through format(): the name of a shard stands for the table.
  const ofShard = literals.replaceAll('%', '%%').replace(TABLE, `from %1$s as ${table}`);
  return {
    name: `${name}_per_server`,
    text: `with servers as (
             select n.nodename, n.nodeport,
                    'select coalesce(json_agg(r), ''[]'') from (' ||
                    string_agg('(' || format($2, shard_name(s.logicalrelid, s.shardid)) || ')', ' union all ') || ') as r' as command
               from pg_dist_shard s join pg_dist_placement p on p.shardid = s.shardid
               join pg_dist_node n on n.groupid = p.groupid and n.noderole = 'primary'
              where s.logicalrelid = $1::regclass group by n.nodename, n.nodeport
           ), commands as (
             select array_agg(nodename order by nodename, nodeport) as names,
                    array_agg(nodeport order by nodename, nodeport) as ports,
                    array_agg(command order by nodename, nodeport) as texts from servers
           )
           select asked.success, asked.result
             from commands, master_run_on_worker(commands.names, commands.ports, commands.texts, true) as asked`,
    values: [table, ofShard],
  };
}

/** The rows of the servers that answered. @returns undefined if none did */
export function rowsOfServers<R extends Row>(answers: readonly ServerAnswer[]): R[] | undefined {
  const answered = answers.filter(({ success }) => success);
  if (answered.length === 0) return undefined;
  return answered.flatMap(({ result }) => JSON.parse(result, (_, value: unknown) => revive(value)) as R[]);
}

function revive(value: unknown): unknown {
  return typeof value === 'string' && TIME.test(value) ? new Date(value) : value;
}

/** A trusted value in the text of a statement. */
function literal(value: SqlValue): string {
  if (value === null) return 'null';
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (value instanceof Date) return quoted(value.toISOString());
  if (value instanceof Buffer) return quoted(`\\x${value.toString('hex')}`);
  if (Array.isArray(value))
    return `'{${value
      .map((item) => JSON.stringify(item))
      .join(',')
      .replaceAll("'", "''")}}'`;
  return quoted(value as string);
}

const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;
