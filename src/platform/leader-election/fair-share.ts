/** Rules by which workers divide shards and permits. Each worker applies them to the locks that it sees. */

/** A worker, as its locks describe it. */
export interface Member {
  /** The server process of its session: unique while it lives. */
  pid: number;
  /** The shards that it holds. */
  shards: readonly number[];
  /** The permits that it could use now. */
  demand: number;
  /** The permits that it may use. */
  permits: number;
}

/** The shards that a worker should give up or try to get. */
export interface Moves {
  release: number[];
  /** The free shards that are missing to its part, and further free ones in case another worker is faster. */
  take: number[];
  /** The number of shards to take. */
  missing: number;
}

/** A worker with shards keeps this part of an even share of the permits, so that its next work begins at once. */
const KEPT_PART = 4;

/**
 * Moves that bring one worker to its fair part of the shards. The parts of all workers add up to all shards and differ
 * by one at most; the larger ones go to the workers that hold most, so that few shards move.
 *
 * @param own the shards of this worker that it does not already give up
 */
export function fairMoves(members: readonly Member[], pid: number, own: readonly number[], shards: number): Moves {
  const ranked = members.toSorted((a, b) => b.shards.length - a.shards.length || a.pid - b.pid);
  const rank = ranked.findIndex((member) => member.pid === pid);
  const part = Math.floor(shards / ranked.length) + (rank < shards % ranked.length ? 1 : 0);
  const kept = own.toSorted((a, b) => a - b).slice(0, part);
  const held = new Set(members.flatMap((member) => member.shards));
  const free = Array.from({ length: shards }, (_, shard) => shard).filter((shard) => !held.has(shard));
  // Workers that take at the same time begin at different shards.
  const first = Math.floor((free.length * Math.max(0, rank)) / ranked.length);
  return {
    release: own.filter((shard) => !kept.includes(shard)),
    take: [...free.slice(first), ...free.slice(0, first)],
    missing: part - kept.length,
  };
}

/**
 * The permits of one worker: a kept part, and the rest in proportion to demand. The targets of all workers add up to
 * the capacity at most.
 *
 * @param capacity the permits of all workers together
 */
export function permitTarget(members: readonly Member[], pid: number, capacity: number): number {
  const sharing = members.filter((member) => member.pid === pid || member.shards.length > 0 || member.permits > 0);
  const kept = Math.floor(capacity / (KEPT_PART * sharing.length));
  const rest = capacity - kept * sharing.length;
  const total = sharing.reduce((sum, member) => sum + member.demand, 0);
  const own = sharing.find((member) => member.pid === pid)?.demand ?? 0;
  return kept + Math.floor(total === 0 ? rest / sharing.length : (rest * own) / total);
}
