/**
 * The state that workers share: numbers in advisory locks of their sessions. A lock ends with its session, so that a
 * dead process leaves nothing behind, and no clock is compared.
 */
import { databaseClock } from '../database/database-clock';
import { Unavailable } from '../errors';
import { retireAllConnections, type ServiceClient } from '../database/sql/service-client';
import type { Member } from './fair-share';

/**
 * First halves of the locks; any numbers, the same in every release. The second half is a number: the capacity of a
 * worker, a shard, the demand of a worker, its permits.
 */
const CAPACITY_LOCK = 726_354_013;
const SHARD_LOCK = 726_354_014;
const DEMAND_LOCK = 726_354_015;
const PERMITS_LOCK = 726_354_016;
/** Held by the worker that raises its permits. */
const RAISE_LOCK = 726_354_017;
/** A standby has sessions and locks, too. */
const IS_WRITABLE = `(not pg_is_in_recovery() and current_setting('transaction_read_only') = 'off')`;
/** The server's time, milliseconds of Unix time. */
const TIME = 'extract(epoch from clock_timestamp())::float8 * 1000';
/** The largest half of a lock. */
const MAX_INTEGER = 2_147_483_647;

/** All workers at one moment. */
export interface LockView {
  /** The server process of the reading session. */
  pid: number;
  /** The permits of all workers, those of an earlier release included. */
  capacity: number;
  /** The workers that take part in the shards. */
  members: Member[];
}

interface LockRow {
  own: number;
  time: number;
  writable: boolean;
  pid: number | null;
  mode: string;
  kind: string;
  number: string;
  sub: number;
}

/** Writes down the capacity of this worker: a lock that many processes may hold. */
export async function announceCapacity(client: ServiceClient, capacity: number): Promise<void> {
  await client.query('select pg_advisory_lock_shared($1, $2)', [CAPACITY_LOCK, capacity]);
}

/**
 * Takes part in the shards: all workers hold this lock in common. A worker of a release with one leader holds it alone,
 * so that the two never work at once.
 * @returns whether the lock was granted
 */
export async function join(client: ServiceClient, lock: number): Promise<boolean> {
  const asked = performance.now();
  const { rows } = await client.query<{ locked: boolean; writable: boolean; time: number }>(
    `select ${IS_WRITABLE} as writable, ${TIME} as time, pg_try_advisory_lock_shared($1) as locked`,
    [lock],
  );
  assertWritable(rows[0]);
  databaseClock.observe(rows[0]?.time, asked, performance.now());
  return rows[0]?.locked === true;
}

/** Reads the locks of all workers. @throws Unavailable when the session's server takes no writes */
export async function readLocks(client: ServiceClient, lock: number): Promise<LockView> {
  const asked = performance.now();
  const { rows } = await client.query<LockRow>(
    `select pg_backend_pid() as own, ${TIME} as time,
            ${IS_WRITABLE} as writable, l.pid, l.mode,
            l.classid::text as kind, l.objid::text as number, l.objsubid as sub
       from (select 1) as always left join pg_locks l on l.locktype = 'advisory' and l.granted
        and l.database = (select oid from pg_database where datname = current_database())
        and (l.objsubid = 2 and l.classid::bigint between ${CAPACITY_LOCK} and ${PERMITS_LOCK}
             or l.objsubid = 1 and l.classid::bigint = $1 and l.objid::bigint = $2)`,
    [Math.floor(lock / 2 ** 32), lock % 2 ** 32],
  );
  assertWritable(rows[0]);
  databaseClock.observe(rows[0]?.time, asked, performance.now());
  const members = new Map<number, Member & { shards: number[] }>();
  for (const { pid, sub, mode } of rows) {
    if (pid !== null && sub === 1 && mode === 'ShareLock') members.set(pid, { pid, shards: [], demand: 0, permits: 0 });
  }
  let capacity = 0;
  for (const { pid, sub, kind, number } of rows) {
    if (pid === null || sub !== 2) continue;
    const value = Number(number);
    const member = members.get(pid);
    if (Number(kind) === CAPACITY_LOCK) capacity += value;
    // While a value is replaced, both are there: the larger one counts.
    else if (!member) continue;
    else if (Number(kind) === SHARD_LOCK) member.shards.push(value);
    else if (Number(kind) === DEMAND_LOCK) member.demand = Math.max(member.demand, value);
    else member.permits = Math.max(member.permits, value);
  }
  return { pid: rows[0]?.own ?? 0, capacity, members: [...members.values()] };
}

/** Locks the first free ones of these shards, until there are enough. @returns the locked shards */
export async function tryLockShards(
  client: ServiceClient,
  shards: readonly number[],
  enough: number,
): Promise<number[]> {
  const taken: number[] = [];
  const candidates = [...shards];
  while (taken.length < enough && candidates.length > 0) {
    const { rows } = await client.query<{ shard: number }>(
      `select shard from (
         select shard, pg_try_advisory_lock($1, shard) as locked from unnest($2::int[]) as shard
       ) as tried where locked`,
      [SHARD_LOCK, candidates.splice(0, enough - taken.length)],
    );
    taken.push(...rows.map(({ shard }) => shard));
  }
  return taken;
}

/** Gives shards up. */
export async function releaseShards(client: ServiceClient, shards: readonly number[]): Promise<void> {
  await client.query('select pg_advisory_unlock($1, shard) from unnest($2::int[]) as shard', [SHARD_LOCK, shards]);
}

/** Replaces the demand of this worker; 0 is no lock. */
export function replaceDemand(client: ServiceClient, from: number, to: number): Promise<void> {
  return replace(client, DEMAND_LOCK, from, to);
}

/** Replaces the permits of this worker; 0 is no lock. */
export function replacePermits(client: ServiceClient, from: number, to: number): Promise<void> {
  return replace(client, PERMITS_LOCK, from, to);
}

/** Runs `work` unless another worker raises its permits at the moment. @returns whether it ran */
export async function withRaiseLock(client: ServiceClient, work: () => Promise<void>): Promise<boolean> {
  const { rows } = await client.query<{ locked: boolean }>('select pg_try_advisory_lock($1, 0) as locked', [
    RAISE_LOCK,
  ]);
  if (!rows[0]?.locked) return false;
  try {
    await work();
  } finally {
    await client.query('select pg_advisory_unlock($1, 0)', [RAISE_LOCK]);
  }
  return true;
}

/** First the new lock, then the old one, so that no reader sees none. */
async function replace(client: ServiceClient, kind: number, from: number, to: number): Promise<void> {
  const next = Math.min(to, MAX_INTEGER);
  if (next === from) return;
  if (next > 0) await client.query('select pg_advisory_lock_shared($1, $2)', [kind, next]);
  if (from > 0) await client.query('select pg_advisory_unlock_shared($1, $2)', [kind, from]);
}

/** @throws Unavailable when the session's server takes no writes: the primary is another one */
function assertWritable(state: { writable: boolean } | undefined): void {
  if (state?.writable) return;
  retireAllConnections();
  throw new Unavailable('database: the server is a standby or read-only');
}
