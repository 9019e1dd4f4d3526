/**
 * The share of arriving requests to refuse: zero while the delay is within its limit, and beyond it the share that
 * keeps admissions at capacity. At twice the load the delay settles at twice its limit.
 */
export function shedRatio(delay: number, limit: number): number {
  return limit > 0 && delay > limit ? 1 - limit / delay : 0;
}

/** The deficit of refusals at which calls that are not preferred are picked too. */
const MAX_DEFICIT = 20;

/**
 * Selects a share of the calls evenly and not at random: of 0.25, every fourth. Preferred calls are selected first,
 * also in place of others; if they are too few, all calls are selected alike.
 */
export class ShedRatio {
  private deficit = 0;

  /** Whether this call is picked. */
  pick(share: number, isPreferred = true): boolean {
    this.deficit = Math.min(MAX_DEFICIT, this.deficit + share);
    if (this.deficit < (isPreferred ? 1 : MAX_DEFICIT)) return false;
    this.deficit -= 1;
    return true;
  }
}

/**
 * A sampled delay. It counts once it has been above its limit for the whole tolerance: a pause or a short burst refuses
 * no request, but a lasting queue does.
 */
export class SustainedDelay {
  private aboveSince?: number;
  private last = 0;

  /** Both in milliseconds; a limit of 0 turns it off. */
  constructor(
    private readonly limit: number,
    private readonly tolerance: number,
  ) {}

  /** The current delay and time, both in milliseconds. */
  add(delay: number, now: number): void {
    this.last = delay;
    if (delay > this.limit) this.aboveSince ??= now;
    else this.aboveSince = undefined;
  }

  /** The latest delay. */
  get value(): number {
    return this.last;
  }

  /** The share of arriving requests to refuse now. */
  ratio(now: number): number {
    if (this.aboveSince === undefined || now - this.aboveSince < this.tolerance) return 0;
    return shedRatio(this.last, this.limit);
  }
}
