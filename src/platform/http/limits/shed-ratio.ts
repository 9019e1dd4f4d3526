/**
 * How much of what arrives is turned away: none while the delay is within its limit, and beyond it so much that what is let
 * in is what can be done. At twice the load a delay settles at twice its limit, and goes no further.
 */
export function shedRatio(delay: number, limit: number): number {
  return limit > 0 && delay > limit ? 1 - limit / delay : 0;
}

/** Picks a share of what comes by, evenly and not by chance: of 0.25, every fourth. */
export class ShedRatio {
  private owed = 0;

  /** Whether this one is picked. */
  pick(share: number): boolean {
    this.owed += share;
    if (this.owed < 1) return false;
    this.owed -= 1;
    return true;
  }
}

/**
 * A delay that is looked at again and again. It counts once it has been above its limit for as long as the patience without
 * a break: a pause turns nobody away, nor does a burst that is soon served, but a queue that stands does.
 */
export class SustainedDelay {
  private aboveSince?: number;
  private last = 0;

  /** Both in milliseconds; a limit of 0 is none. */
  constructor(
    private readonly limit: number,
    private readonly patience: number,
  ) {}

  /** The delay as it is now, and the time, both in milliseconds. */
  add(delay: number, now: number): void {
    this.last = delay;
    if (delay > this.limit) this.aboveSince ??= now;
    else this.aboveSince = undefined;
  }

  /** The delay that was seen last. */
  get value(): number {
    return this.last;
  }

  /** How much of what arrives now is to be turned away. */
  ratio(now: number): number {
    if (this.aboveSince === undefined || now - this.aboveSince < this.patience) return 0;
    return shedRatio(this.last, this.limit);
  }
}
