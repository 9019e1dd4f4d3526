import { Age } from './age';

/** Time for a request to the queue, and for the first byte of a delivery, within the duration of a lock. */
const MARGIN_MS = 1_000;

/**
 * The right of this worker to send the deliveries of a job, which is that of the job's lock. A worker that pauses or
 * waits for too long loses the lock, and another worker takes the job: the first one must notice, otherwise both send.
 */
export class JobLease {
  private age: Age;
  private extension?: Promise<boolean>;
  private lost = false;

  /**
   * @param takenAt when this worker took the job, milliseconds of Unix time
   * @param duration of the lock, milliseconds
   * @param extend extends the lock by its duration; gives whether this worker still had it, rejects if the queue does
   *   not respond
   */
  constructor(
    takenAt: number,
    private readonly duration: number,
    private readonly extend: () => Promise<boolean>,
  ) {
    this.age = new Age(takenAt);
  }

  /** Whether no other worker can have the job yet. */
  isHeld(): boolean {
    return this.age.milliseconds < this.duration - MARGIN_MS;
  }

  /** Extends the lock unless it is held for sure; false if it is lost or the queue does not respond. */
  async ensure(): Promise<boolean> {
    if (this.isHeld()) return true;
    // The queue gives a lock to a worker once: it does not come back.
    if (this.lost) return false;
    this.extension ??= this.renew().finally(() => (this.extension = undefined));
    return this.extension;
  }

  /**
   * Whether another worker may have the job, asked of the queue unless the lock is held for sure. False if the queue
   * does not respond: it gives the job to no other worker meanwhile.
   */
  async isLost(): Promise<boolean> {
    await this.ensure();
    return this.lost;
  }

  private async renew(): Promise<boolean> {
    const age = new Age();
    const isExtended = await this.extend().catch(() => undefined);
    if (isExtended === false) this.lost = true;
    if (!isExtended) return false;
    this.age = age;
    return this.isHeld();
  }
}
