/** Deliveries that a worker has in its own hands at once: being loaded, signed or recorded. */
const AT_HAND = 192;
/** A request that has been under way for so long is in its receiver's hands, milliseconds. */
const OUT_AFTER_MS = 25;
const TICK_MS = 25;

/** What is needed of BullMQ's worker. */
export interface ConsumerControl {
  /** Jobs that it has at once, at most. */
  concurrency: number;
  pause(doNotWaitActive: boolean): Promise<void>;
  resume(): Promise<void>;
}

/**
 * Decides how many deliveries a worker takes from the queue at once: few of those that wait for the worker itself,
 * since more would only wait (and each that ends then takes the next along, which saves asking for it), and on top all
 * that wait for their receivers, up to a bound. So receivers that answer at once are served by few, and slow ones take
 * no one's place.
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
   * @param most deliveries at once in any case
   * @param outFor how many requests have been under way for at least so long, milliseconds
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
    // BullMQ's worker sees that it may take more when a job ends, and where all hang, none does: this makes it look.
    this.raised = false;
    await this.taker.pause(true);
    if (!this.stopped) await this.taker.resume();
  }
}
