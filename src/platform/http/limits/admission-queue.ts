import type { IncomingMessage, ServerResponse } from 'node:http';

/** A request before any work is done for it; its body is not read. */
export interface Held {
  request: IncomingMessage & { [ARRIVED]?: number };
  response: ServerResponse;
}

const ARRIVED = Symbol('arrived');

/** When a request arrived, by `performance.now()`: for a queued request, the time before it was admitted. */
export function arrivalOf(request: Held['request']): number {
  return request[ARRIVED] ?? performance.now();
}

/** Requests that wait for admission, in the order of their arrival. */
export class AdmissionQueue {
  private held: Held[] = [];
  /** Index of the oldest: shifting the array for each departure would cost time. */
  private first = 0;

  /** @param places maximum number of waiting requests */
  constructor(private readonly places: number) {}

  get size(): number {
    return this.held.length - this.first;
  }

  /** Adds a request; false where the queue is full. */
  enter(request: IncomingMessage, response: ServerResponse, now: number): boolean {
    if (this.size >= this.places) return false;
    this.held.push({ request: Object.assign(request, { [ARRIVED]: now }), response });
    return true;
  }

  /**
   * Removes the oldest request whose client is still connected, of all or of those before a time; undefined where there
   * is none.
   */
  leave(before = Infinity): Held | undefined {
    for (let oldest = this.held[this.first]; oldest; oldest = this.held[this.first]) {
      if (arrivalOf(oldest.request) >= before) return undefined;
      this.first++;
      if (this.first > this.places) {
        this.held = this.held.slice(this.first);
        this.first = 0;
      }
      const { socket } = oldest.request;
      // A caller that ended its side either left or waits in silence: with too much to do, nothing tells them apart.
      if (!socket.destroyed && !socket.readableEnded) return oldest;
      socket.destroy();
    }
    return undefined;
  }
}
