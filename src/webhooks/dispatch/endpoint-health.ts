/** A success within this time proves an endpoint. */
const PROVEN_FOR_MS = 10 * 60_000;
/** A response that takes longer makes an endpoint slow. */
const SLOW_MS = 2_000;
/** After this time other workers have taken the deliveries of a lost worker. */
const DISREGARD_MS = 10_000;

/** The health of an endpoint: a recent good response, none yet (or a bad one), or none in time. */
export type Health = 'proven' | 'unknown' | 'slow';

/** The health of one endpoint after its recent attempts. Times are milliseconds of one monotonic clock. */
export class EndpointHealth {
  private provenUntil = 0;
  private wasSlow = false;
  /** The last loss of a worker: deliveries in flight at that time do not count against the receiver for a while. */
  private disregardedAt = -Infinity;

  /** Disregards the deliveries in flight: a part of them was lost with a worker. */
  disregardInFlight(now: number): void {
    this.disregardedAt = now;
  }

  /** Records a response, or the lack of one, after `durationMs`. */
  recordResponse(ok: boolean, durationMs: number, now: number): void {
    this.wasSlow = durationMs >= SLOW_MS;
    if (this.wasSlow) this.provenUntil = 0;
    else if (ok) this.provenUntil = now + PROVEN_FOR_MS;
  }

  /** Whether a success is recent. */
  isProven(now: number): boolean {
    return this.provenUntil > now;
  }

  /**
   * @param inFlight the starts of its deliveries in flight, the oldest first
   * @param hangsAfter longest time of a delivery in flight, milliseconds
   */
  evaluate(inFlight: Iterable<{ startedAt: number }>, now: number, hangsAfter: number): Health {
    for (const { startedAt } of inFlight) {
      if (startedAt <= this.disregardedAt && now - this.disregardedAt < DISREGARD_MS) continue;
      if (now - startedAt >= hangsAfter) return 'slow';
      break;
    }
    if (this.wasSlow) return 'slow';
    return this.isProven(now) ? 'proven' : 'unknown';
  }
}
