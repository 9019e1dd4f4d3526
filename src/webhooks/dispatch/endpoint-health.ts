/** A success within this time proves an endpoint. */
const PROVEN_FOR_MS = 10 * 60_000;
/** A response that takes longer makes an endpoint slow. */
const SLOW_MS = 2_000;
/** After this time other workers have taken the deliveries of a lost worker. */
const DOUBT_MS = 10_000;

/** The health of an endpoint: a recent good response, none yet (or a bad one), or none in time. */
export type Health = 'proven' | 'unknown' | 'slow';

/** What recent attempts say about one endpoint. Times are milliseconds of one monotonic clock. */
export class EndpointHealth {
  private provenUntil = 0;
  private wasSlow = false;
  /** The last loss of a worker: deliveries in flight at that time do not count against the receiver for a while. */
  private doubtedAt = -Infinity;

  /** Records the loss of a worker with a part of the deliveries in flight. */
  doubt(now: number): void {
    this.doubtedAt = now;
  }

  /** Records a response, or the lack of one, after `durationMs`. */
  responded(ok: boolean, durationMs: number, now: number): void {
    this.wasSlow = durationMs >= SLOW_MS;
    if (this.wasSlow) this.provenUntil = 0;
    else if (ok) this.provenUntil = now + PROVEN_FOR_MS;
  }

  /** Whether a success is so recent that its memory is worth keeping. */
  isProven(now: number): boolean {
    return this.provenUntil > now;
  }

  /**
   * @param inFlight the starts of its deliveries in flight, the oldest first
   * @param hangsAfter longest time of a delivery in flight, milliseconds
   */
  judge(inFlight: Iterable<{ since: number }>, now: number, hangsAfter: number): Health {
    for (const { since } of inFlight) {
      if (since <= this.doubtedAt && now - this.doubtedAt < DOUBT_MS) continue;
      if (now - since >= hangsAfter) return 'slow';
      break;
    }
    if (this.wasSlow) return 'slow';
    return this.isProven(now) ? 'proven' : 'unknown';
  }
}
