import { fairMoves, type Member, permitTarget } from './fair-share';

const SHARDS = 16;

function member(pid: number, shards: number[] = [], demand = 0, permits = 0): Member {
  return { pid, shards, demand, permits };
}

/** Lets each worker apply its moves to what it sees, in turn, until nothing moves; gives the number of moved shards. */
function settle(members: Member[]): number {
  let moved = 0;
  for (let round = 0; round < 10; round++) {
    let isStill = true;
    for (const [index, each] of members.entries()) {
      const moves = fairMoves(members, each.pid, each.shards, SHARDS);
      const kept = each.shards.filter((shard) => !moves.release.includes(shard));
      const taken = moves.take.slice(0, Math.max(0, moves.missing));
      if (taken.length > 0 || moves.release.length > 0) isStill = false;
      moved += taken.length;
      members[index] = { ...each, shards: [...kept, ...taken] };
    }
    if (isStill) return moved;
  }
  throw new Error('the shards never came to rest');
}

const sizes = (members: readonly Member[]) => members.map(({ shards }) => shards.length).sort((a, b) => a - b);
const all = (members: readonly Member[]) => members.flatMap(({ shards }) => shards).sort((a, b) => a - b);
const every = Array.from({ length: SHARDS }, (_, shard) => shard);

describe('the fair part of the shards', () => {
  it.each([1, 2, 3, 4, 5, 7, 16, 20])(
    'differs by one at most among %d workers, and all shards are owned',
    (workers) => {
      const members = Array.from({ length: workers }, (_, index) => member(100 + index));
      expect(settle(members)).toBe(SHARDS);
      expect(all(members)).toEqual(every);
      const [least = 0, most = 0] = [sizes(members)[0], sizes(members).at(-1)];
      expect(most - least).toBeLessThanOrEqual(1);
    },
  );

  it('moves only what a new worker needs', () => {
    const members = [member(1), member(2), member(3)];
    settle(members);
    expect(sizes(members)).toEqual([5, 5, 6]);
    members.push(member(0));
    expect(settle(members)).toBe(4);
    expect(sizes(members)).toEqual([4, 4, 4, 4]);
  });

  it('moves only what a lost worker leaves', () => {
    const members = [member(1), member(2), member(3), member(4)];
    settle(members);
    members.splice(1, 1);
    expect(settle(members)).toBe(4);
    expect(all(members)).toEqual(every);
  });

  it('keeps the lowest shards, so that the tasks of shard 0 rarely move', () => {
    const { release } = fairMoves([member(1, every), member(2)], 1, every, SHARDS);
    expect(release).toEqual([8, 9, 10, 11, 12, 13, 14, 15]);
  });

  it('lets concurrent workers begin at different shards', () => {
    const members = [member(1), member(2)];
    const first = fairMoves(members, 1, [], SHARDS);
    const second = fairMoves(members, 2, [], SHARDS);
    expect(first.take.slice(0, first.missing)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(second.take.slice(0, second.missing)).toEqual([8, 9, 10, 11, 12, 13, 14, 15]);
  });
});

describe('the permits of a worker', () => {
  it('are all of them for the only one, with any demand', () => {
    expect(permitTarget([member(1, [0])], 1, 512)).toBe(512);
    expect(permitTarget([member(1, [0], 3)], 1, 512)).toBe(512);
  });

  it('are even without demand, and follow it otherwise', () => {
    const idle = [member(1, [0]), member(2, [1])];
    expect(idle.map(({ pid }) => permitTarget(idle, pid, 1_024))).toEqual([512, 512]);
    const busy = [member(1, [0], 3_000), member(2, [1], 1_000)];
    expect(busy.map(({ pid }) => permitTarget(busy, pid, 1_024))).toEqual([128 + 576, 128 + 192]);
    const one = [member(1, [0], 3_000), member(2, [1])];
    expect(one.map(({ pid }) => permitTarget(one, pid, 1_024))).toEqual([128 + 768, 128]);
  });

  it('never exceed the capacity in sum', () => {
    for (const capacity of [1, 7, 8, 100, 513, 2_048]) {
      for (const demands of [
        [0, 0, 0],
        [1, 2, 3],
        [9_999, 1, 0],
        [7, 7, 7],
      ]) {
        const members = demands.map((demand, index) => member(index, [index], demand));
        const sum = members.reduce((total, { pid }) => total + permitTarget(members, pid, capacity), 0);
        expect(sum).toBeLessThanOrEqual(capacity);
      }
    }
  });

  it('are none for a worker without shards, unless it still uses some', () => {
    const members = [member(1, [0], 10), member(2), member(3, [], 0, 64)];
    expect(permitTarget(members, 1, 512)).toBe(64 + 384);
  });
});
