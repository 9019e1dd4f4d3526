/**
 * Moves of tenants between the servers of Citus, as the owner of the tables. Citus moves a shard by logical
 * replication, which forced row-level security stops for ever: its own login cannot write into such a table. So it is
 * not forced on the owner during a move. The service's roles own no table, so that their policies stay in force.
 */
import type { Client } from 'pg';
import { Unavailable } from '../../errors';
import { HAS_CITUS } from '../sql/citus';
import { ServiceClient } from '../sql/service-client';
import { OWNER_CONNECTION, withMigrationLock } from './migration-lock';

/** A server of Citus. */
export interface CitusServer {
  host: string;
  port: number;
}

/** The place of a tenant's rows. */
export interface TenantPlace extends CitusServer {
  shardId: string;
}

/** A statement behind the lock of a table delays all others: better to fail and try again. */
const LOCK_TIMEOUT_MS = 2_000;
const LOCK_ATTEMPTS = 30;
const LOCK_NOT_AVAILABLE = '55P03';

/**
 * Forces row-level security on every table that has it and does not force it: after a move, also of a process that was
 * killed.
 * @returns the tables on which it was not forced
 */
export async function forceRowSecurity(client: Client): Promise<string[]> {
  const tables = await tablesWithPolicies(client, false);
  for (const table of tables) await alter(client, `alter table ${table} force row level security`);
  return tables;
}

/** Where the rows of a tenant are. @throws Unavailable if the database is not distributed */
export function findTenant(ownerUrl: string, tenantId: string): Promise<TenantPlace> {
  return asOwner(ownerUrl, (client) => placeOf(client, tenantId));
}

/**
 * Moves the shard of a tenant to a server, with all tenants in it, while they are served.
 * @returns where it was before
 */
export function moveTenant(
  ownerUrl: string,
  tenantId: string,
  to: CitusServer,
  signal?: AbortSignal,
): Promise<TenantPlace> {
  return asOwner(ownerUrl, async (client) => {
    const from = await placeOf(client, tenantId);
    const text = 'select citus_move_shard_placement($1::bigint, $2, $3, $4, $5)';
    const values = [from.shardId, from.host, from.port, to.host, to.port];
    if (from.host !== to.host || from.port !== to.port) await unforced(client, { ownerUrl, text, values, signal });
    return from;
  });
}

/**
 * Gives a tenant a shard of its own, on the server where it is. The tenants of the shard cannot write meanwhile, which
 * takes seconds.
 */
export function isolateTenant(ownerUrl: string, tenantId: string, signal?: AbortSignal): Promise<TenantPlace> {
  return asOwner(ownerUrl, async (client) => {
    const text = `select isolate_tenant_to_new_shard($1::regclass, $2::uuid, 'CASCADE',
                                                     shard_transfer_mode => 'block_writes')`;
    const values = [await distributedTable(client), tenantId];
    await unforced(client, { ownerUrl, text, values, signal });
    return placeOf(client, tenantId);
  });
}

/** Spreads the shards evenly over all servers, one after the other, while the tenants are served. */
export function rebalance(ownerUrl: string, signal?: AbortSignal): Promise<void> {
  return asOwner(ownerUrl, (client) =>
    unforced(client, { ownerUrl, text: 'select rebalance_table_shards()', values: [], signal }),
  );
}

/** As the owner, while nothing else migrates or moves, and after what a killed process has left was put right. */
function asOwner<T>(ownerUrl: string, work: (client: Client) => Promise<T>): Promise<T> {
  return withMigrationLock(ownerUrl, async (client) => {
    const { rows } = await client.query<{ there: boolean }>(`select ${HAS_CITUS} as there`);
    if (!rows[0]?.there) throw new Unavailable('the database is not distributed by Citus');
    await client.query('set statement_timeout = 0');
    await client.query(`set lock_timeout = ${LOCK_TIMEOUT_MS}`);
    await forceRowSecurity(client);
    return work(client);
  });
}

/** A statement that moves shards; `signal` cancels it. */
interface Move {
  ownerUrl: string;
  text: string;
  values: readonly unknown[];
  signal?: AbortSignal;
}

/** Runs a move while row-level security is not forced on the owner; forces it again however it ends. */
async function unforced(client: Client, { ownerUrl, text, values, signal }: Move): Promise<void> {
  try {
    for (const table of await tablesWithPolicies(client, true)) {
      await alter(client, `alter table ${table} no force row level security`);
    }
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
    signal?.throwIfAborted();
    signal?.addEventListener('abort', () => void cancel(ownerUrl, rows[0]?.pid), { once: true });
    await client.query('set lock_timeout = 0');
    await client.query(text, [...values]);
  } catch (error) {
    // On a lost connection this fails, too: the next command or migration does it. The first error says more.
    await forceAgain(client).catch(() => undefined);
    throw error;
  }
  await forceAgain(client);
}

async function forceAgain(client: Client): Promise<void> {
  await client.query(`set lock_timeout = ${LOCK_TIMEOUT_MS}`);
  await forceRowSecurity(client);
}

async function cancel(ownerUrl: string, pid?: number): Promise<void> {
  const other = new ServiceClient({ ...OWNER_CONNECTION, connectionString: ownerUrl });
  await other.connect();
  await other.query('select pg_cancel_backend($1)', [pid]).finally(() => other.end());
}

async function placeOf(client: Client, tenantId: string): Promise<TenantPlace> {
  const { rows } = await client.query<TenantPlace>(
    `select s.shardid as "shardId", n.nodename as host, n.nodeport as port
       from (select get_shard_id_for_distribution_column($1::regclass, $2::uuid) as shardid) s
       join pg_dist_placement p on p.shardid = s.shardid join pg_dist_node n on n.groupid = p.groupid`,
    [await distributedTable(client), tenantId],
  );
  if (!rows[0]) throw new Unavailable('the shard of the tenant is on no server');
  return rows[0];
}

/** Any distributed table: all are co-located, so that the shards of one move together. */
async function distributedTable(client: Client): Promise<string> {
  const { rows } = await client.query<{ name: string }>(
    `select logicalrelid::text as name from pg_dist_partition where partmethod = 'h' order by logicalrelid limit 1`,
  );
  if (!rows[0]) throw new Unavailable('no table is distributed yet: run migrate');
  return rows[0].name;
}

async function tablesWithPolicies(client: Client, forced: boolean): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select oid::regclass::text as name from pg_class
      where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and relrowsecurity and relforcerowsecurity = $1
      order by relname`,
    [forced],
  );
  return rows.map(({ name }) => name);
}

async function alter(client: Client, statement: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await client.query(statement);
      return;
    } catch (error) {
      if ((error as { code?: string }).code !== LOCK_NOT_AVAILABLE || attempt === LOCK_ATTEMPTS) throw error;
    }
  }
}
