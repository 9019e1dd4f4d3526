/**
 * The share of arriving requests to refuse: zero while the delay is within its limit, and beyond it the share that
 * keeps admissions at capacity. At twice the load the delay settles at twice its limit.
 */
export function shedRatio(delay: number, limit: number): number {
  return limit > 0 && delay > limit ? 1 - limit / delay : 0;
}

/** Refusals that calls which are not preferred may owe before they are picked too. */
const MAX_OWED = 20;

/**
 * Selects a share of the calls evenly and not at random: of 0.25, every fourth. Preferred calls are selected first,
 * also in place of others; if they are too few, all calls are selected alike.
 */
export class ShedRatio {
  private owed = 0;

  /** Whether this call is picked. */
  pick(share: number, isPreferred = true): boolean {
    this.owed = Math.min(MAX_OWED, this.owed + share);
    if (this.owed < (isPreferred ? 1 : MAX_OWED)) return false;
    this.owed -= 1;
    return true;
  }
}

/**
 * A sampled delay. It counts once it has been above its limit for the whole patience: a pause or a short burst refuses
 * no request, but a standing queue does.
 */
export class SustainedDelay {
  private aboveSince?: number;
  private last = 0;

  /** Both in milliseconds; a limit of 0 turns it off. */
  constructor(
    private readonly limit: number,
    private readonly patience: number,
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
    if (this.aboveSince === undefined || now - this.aboveSince < this.patience) return 0;
    return shedRatio(this.last, this.limit);
  }
}
