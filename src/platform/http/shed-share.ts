/**
 * How much of what arrives is turned away: none while the delay is within its limit, and beyond it so much that what is let
 * in is what can be done. At twice the load a delay settles at twice its limit, and goes no further.
 */
export function shedShare(delay: number, limit: number): number {
  return limit > 0 && delay > limit ? 1 - limit / delay : 0;
}

/** Picks a share of what comes by, evenly and not by chance: of 0.25, every fourth. */
export class ShareOf {
  private owed = 0;

  /** Whether this one is picked. */
  pick(share: number): boolean {
    this.owed += share;
    if (this.owed < 1) return false;
    this.owed -= 1;
    return true;
  }
}

/** Samples of a delay, of which the smaller of the last two counts: a single pause is no queue that stands. */
export class StandingDelay {
  private last = 0;
  private before = 0;

  add(delay: number): void {
    this.before = this.last;
    this.last = delay;
  }

  get value(): number {
    return Math.min(this.last, this.before);
  }
}
