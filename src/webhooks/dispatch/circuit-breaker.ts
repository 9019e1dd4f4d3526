/** Failures in a row, and the time they must span, that open the breaker. */
const FAILURES_TO_OPEN = 20;
const MIN_FAILING_MS = 30_000;
const FIRST_PAUSE_MS = 30_000;
const LONGEST_PAUSE_MS = 5 * 60_000;

/** The admitted attempts: all, one, or none. */
export type BreakerState = 'closed' | 'half_open' | 'open';

/**
 * A circuit breaker: after 20 failures in a row over at least 30 seconds it admits one probe after each pause. The
 * pauses double up to five minutes; one success closes it. Times are milliseconds of one monotonic clock.
 */
export class CircuitBreaker {
  private failures = 0;
  private firstFailureAt = 0;
  private pause = 0;
  private probeAt = 0;
  private probing = false;

  get isOpen(): boolean {
    return this.pause > 0;
  }

  /** `half_open` while a probe is in flight. */
  get state(): BreakerState {
    return !this.isOpen ? 'closed' : this.probing ? 'half_open' : 'open';
  }

  /** The earliest time of the next attempt; a time in the past admits one now. */
  get retryAt(): number {
    return this.isOpen ? (this.probing ? Infinity : this.probeAt) : 0;
  }

  /** Whether an attempt is admitted; while open, this takes the probe. */
  admit(now: number): boolean {
    if (!this.isOpen) return true;
    if (this.probing || now < this.probeAt) return false;
    this.probing = true;
    return true;
  }

  recordSuccess(): void {
    this.failures = 0;
    this.pause = 0;
    this.probing = false;
  }

  recordFailure(now: number): void {
    if (this.failures++ === 0) this.firstFailureAt = now;
    if (this.isOpen) {
      // Attempts in flight when it opened also end here; only the probe's failure extends the pause.
      if (!this.probing) return;
      this.probing = false;
      this.pause = Math.min(this.pause * 2, LONGEST_PAUSE_MS);
      this.probeAt = now + this.pause;
    } else if (this.failures >= FAILURES_TO_OPEN && now - this.firstFailureAt >= MIN_FAILING_MS) {
      this.pause = FIRST_PAUSE_MS;
      this.probeAt = now + this.pause;
    }
  }

  /** The probe sent nothing, since its delivery was no longer due: admit the next one. */
  recordSkip(): void {
    this.probing = false;
  }
}
