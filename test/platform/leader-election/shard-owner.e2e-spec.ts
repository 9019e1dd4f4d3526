import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { ShardOwner } from '../../../src/platform/leader-election/shard-owner';
import { createTestDatabase, type TestDatabase } from '../../harness/databases';
import { until } from '../../harness/until';

const LOCK = 7_263_540_120;
const SHARDS = 16;
const CAPACITY = 512;
/** Longer than a test's machine needs for the two looks of a second each that a hand-over takes. */
const SETTLED_MS = 20_000;

/** An owner with a record of its calls. */
interface TestOwner {
  owner: ShardOwner;
  shards: Set<number>;
  permits: number;
  demand: number;
  inUse: number;
  lost: number;
  confirmedAt: number;
  workersLost: number;
  notes: string[];
  /** Shards whose work has not ended yet, while the test holds it. */
  hold?: Promise<void>;
}

describe('the owners of shards', () => {
  let database: TestDatabase;
  const owners: TestOwner[] = [];
  /** For each shard, the owners that work for it: more than one is the fault that the locks exclude. */
  const workers = new Map<number, Set<TestOwner>>();
  const shared: number[] = [];

  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterEach(async () => {
    await Promise.all(owners.splice(0).map(({ owner }) => owner.stop()));
    // PostgreSQL ends a session after its client has left; until then its locks count.
    await until('the sessions to end', async () => (await sessions()).length === 0);
    expect(shared).toEqual([]);
    workers.clear();
  });
  afterAll(() => database.drop());

  function begin(owner: TestOwner, shard: number): void {
    const of = workers.get(shard) ?? new Set();
    workers.set(shard, of.add(owner));
    owner.shards.add(shard);
    if (of.size > 1) shared.push(shard);
  }

  function end(owner: TestOwner, shard: number): void {
    workers.get(shard)?.delete(owner);
    owner.shards.delete(shard);
  }

  function start(capacity = CAPACITY): TestOwner {
    const made: TestOwner = {
      owner: new ShardOwner({
        connectionString: database.serviceUrl,
        variable: 'DATABASE_URL',
        lock: LOCK,
        shards: SHARDS,
        capacity,
        channels: ['outbox'],
        onJoined: () => Promise.resolve(),
        demand: () => made.demand,
        inUse: () => made.inUse,
        onGained: (shards) => shards.forEach((shard) => begin(made, shard)),
        onReleased: async (shards) => {
          await made.hold;
          shards.forEach((shard) => end(made, shard));
        },
        onLost: (shards) => {
          made.lost++;
          shards.forEach((shard) => end(made, shard));
        },
        onPermits: (permits) => (made.permits = permits),
        onConfirmed: (at) => (made.confirmedAt = at),
        onWorkerLost: () => made.workersLost++,
        onNotification: (_, payload) => made.notes.push(payload),
        onError: () => undefined,
      }),
      shards: new Set(),
      permits: 0,
      demand: 0,
      inUse: 0,
      lost: 0,
      confirmedAt: 0,
      workersLost: 0,
      notes: [],
    };
    owners.push(made);
    made.owner.start();
    return made;
  }

  const divided = (...parts: number[]) =>
    until(
      `parts of ${parts.join(', ')}`,
      () =>
        owners.length === parts.length &&
        owners
          .map(({ shards }) => shards.size)
          .sort((a, b) => a - b)
          .join() === parts.join(),
      SETTLED_MS,
    );
  const sessions = () =>
    database.sql<{ pid: number }>(
      `select pid from pg_stat_activity where datname = current_database() and application_name like '% leader'`,
    );

  it('are one worker alone, with all shards and all permits', async () => {
    const only = start();
    await divided(16);
    await until('all permits', () => only.permits === CAPACITY);
  });

  it('give a new worker its part, with one check a second', async () => {
    start();
    await divided(16);
    const startedAt = performance.now();
    start();
    await divided(8, 8);
    const two = performance.now() - startedAt;
    start();
    start();
    await divided(4, 4, 4, 4);
    // Five seconds are promised; the rest is room for the machine.
    expect(two).toBeLessThan(10_000);
  });

  it('take the part of a killed worker, and report its loss', async () => {
    const kept = start();
    await divided(16);
    const [before] = await sessions();
    start();
    await divided(8, 8);
    const killed = (await sessions()).find(({ pid }) => pid !== before?.pid);
    // Not its process, but its session: that is all that the others can see of a kill.
    const dead = owners.pop() as TestOwner;
    await database.sql('select pg_terminate_backend($1)', [killed?.pid]);
    await until('it to learn of it', () => dead.lost === 1);
    await dead.owner.stop();
    await divided(16);
    expect(kept.workersLost).toBeGreaterThan(0);
    expect(dead.shards.size).toBe(0);
  });

  it('keep a shard and their session until its last work has ended', async () => {
    const first = start();
    await divided(16);
    let release = (): void => undefined;
    first.hold = new Promise((resolve) => (release = resolve));
    const second = start();
    // Several looks of both: the locks are not free before.
    await delay(4_000);
    expect([first.shards.size, second.shards.size, first.lost]).toEqual([16, 0, 0]);
    release();
    await divided(8, 8);
  });

  it('own no shard while a worker of the release with one leader leads, and prevent its leadership afterwards', async () => {
    const old = new Client({ connectionString: database.serviceUrl });
    await old.connect();
    const leads = async (): Promise<boolean> =>
      (await old.query<{ locked: boolean }>('select pg_try_advisory_lock($1) as locked', [LOCK])).rows[0]
        ?.locked as boolean;
    try {
      expect(await leads()).toBe(true);
      const [first, second] = [start(), start()];
      await delay(3_000);
      expect(first.shards.size + second.shards.size).toBe(0);
      await old.query('select pg_advisory_unlock_all()');
      await divided(8, 8);
      expect(await leads()).toBe(false);
      await Promise.all(owners.splice(0).map(({ owner }) => owner.stop()));
      await until('the old release to lead again', leads);
    } finally {
      await old.end();
    }
  });

  it('share permits by demand, and never record more than the capacity', async () => {
    const [first, second] = [start(), start()];
    await divided(8, 8);
    let most = 0;
    let watching = true;
    const watch = (async () => {
      while (watching) {
        const [row] = await database.sql<{ sum: string }>(
          `select coalesce(sum(most), 0) as sum from (
             select min(objid::bigint) as most from pg_locks
              where locktype = 'advisory' and granted and objsubid = 2 and classid = 726354016
                and database = (select oid from pg_database where datname = current_database()) group by pid) as held`,
        );
        most = Math.max(most, Number(row?.sum));
        await delay(5);
      }
    })();
    const whole = 2 * CAPACITY;
    await until('even parts', () => first.permits === whole / 2 && second.permits === whole / 2, SETTLED_MS);
    first.demand = 5_000;
    await until('most for the busy one', () => first.permits === (whole * 7) / 8, SETTLED_MS);
    expect(second.permits).toBe(whole / 8);
    // It uses them all when the other one becomes busy, and they come back one after the other.
    first.inUse = first.permits;
    second.demand = 5_000;
    await until('the busy one to admit no more', () => first.permits === whole / 2, SETTLED_MS);
    await delay(2_500);
    expect(second.permits).toBe(whole / 8);
    first.inUse = whole / 2;
    await until('even parts again', () => second.permits === whole / 2, SETTLED_MS);
    watching = false;
    await watch;
    expect(most).toBeGreaterThan(whole / 2);
    expect(most).toBeLessThanOrEqual(whole);
  });

  it('receive notifications while they own shards', async () => {
    const [first, second] = [start(), start()];
    await divided(8, 8);
    await database.sql(`select pg_notify('outbox', '4711')`);
    await until('both to hear it', () => first.notes.includes('4711') && second.notes.includes('4711'));
  });
});
