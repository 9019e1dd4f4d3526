import type { IncomingMessage, ServerResponse } from 'node:http';

/** A request that nothing was done for yet; its body stays where it is. */
export interface Held {
  request: IncomingMessage & { [ARRIVED]?: number };
  response: ServerResponse;
}

const ARRIVED = Symbol('arrived');

/** When a request came, by `performance.now()`: where it was held, that was before it was let in. */
export function arrivalOf(request: Held['request']): number {
  return request[ARRIVED] ?? performance.now();
}

/** Where requests wait to be let in, in the order in which they came. */
export class AdmissionQueue {
  private held: Held[] = [];
  /** Where the oldest is: moving all others up for each that leaves would be work of its own. */
  private first = 0;

  /** @param places how many may wait */
  constructor(private readonly places: number) {}

  get size(): number {
    return this.held.length - this.first;
  }

  /** Takes a request in; false where there is no place. */
  enter(request: IncomingMessage, response: ServerResponse, now: number): boolean {
    if (this.size >= this.places) return false;
    this.held.push({ request: Object.assign(request, { [ARRIVED]: now }), response });
    return true;
  }

  /** The oldest whose caller is still there, of all or of those that came before then; undefined where there is none. */
  leave(before = Infinity): Held | undefined {
    for (let oldest = this.held[this.first]; oldest; oldest = this.held[this.first]) {
      if (arrivalOf(oldest.request) >= before) return undefined;
      this.first++;
      if (this.first > this.places) {
        this.held = this.held.slice(this.first);
        this.first = 0;
      }
      if (!oldest.request.socket.destroyed) return oldest;
    }
    return undefined;
  }
}
