/** Deliveries that occupy the worker itself at once: being loaded, signed or recorded. */
const AT_HAND = 192;
/** After this time in flight a request counts as waiting for its receiver, milliseconds. */
const OUT_AFTER_MS = 25;
const TICK_MS = 25;

/** The part of BullMQ's worker that is used. */
export interface ConsumerControl {
  /** Its maximum number of jobs at once. */
  concurrency: number;
  pause(doNotWaitActive: boolean): Promise<void>;
  resume(): Promise<void>;
}

/**
 * Decides how many deliveries a worker takes from the queue at once: few that occupy the worker itself, plus all that
 * wait for their receivers, up to a bound. So fast receivers are served with few jobs, and slow ones block no other.
 */
export class AdaptiveConcurrency {
  private timer: NodeJS.Timeout | undefined;
  private underWay = 0;
  /** How often a delivery began or ended. */
  private moves = 0;
  private movesSeen = 0;
  private raised = false;
  private stopped = false;
  private readonly atHand: number;

  /**
   * @param most upper bound of deliveries at once
   * @param outFor the number of requests in flight for at least this time, milliseconds
   */
  constructor(
    private readonly taker: ConsumerControl,
    private readonly most: number,
    private readonly outFor: (milliseconds: number) => number,
  ) {
    this.atHand = taker.concurrency = Math.min(most, AT_HAND);
  }

  began(): void {
    this.moves++;
    this.underWay++;
    if (this.underWay >= this.taker.concurrency && !this.stopped) {
      this.timer ??= setInterval(() => void this.tick(), TICK_MS);
    }
  }

  ended(): void {
    this.moves++;
    this.underWay--;
  }

  stop(): void {
    this.stopped = true;
    clearInterval(this.timer);
  }

  private async tick(): Promise<void> {
    const before = this.taker.concurrency;
    this.taker.concurrency = Math.min(this.most, AT_HAND + this.outFor(OUT_AFTER_MS));
    if (this.taker.concurrency > before) this.raised = true;
    const isQuiet = this.moves === this.movesSeen;
    this.movesSeen = this.moves;
    if (this.underWay < this.atHand) {
      clearInterval(this.timer);
      this.timer = undefined;
    }
    if (!this.raised || !isQuiet) return;
    // BullMQ's worker reads its concurrency when a job ends; while all jobs hang, this call makes it read the new
    // value.
    this.raised = false;
    await this.taker.pause(true);
    if (!this.stopped) await this.taker.resume();
  }
}
