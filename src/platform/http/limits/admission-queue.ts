import type { IncomingMessage, ServerResponse } from 'node:http';

/** A request before any work for it; its body is not read. */
export interface Held {
  request: IncomingMessage & { [ARRIVED]?: number };
  response: ServerResponse;
}

const ARRIVED = Symbol('arrived');

/** When a request arrived, by `performance.now()`: for a queued request, the time before it was admitted. */
export function arrivalOf(request: Held['request']): number {
  return request[ARRIVED] ?? performance.now();
}

/**
 * Requests that wait for admission, in a queue for each group (the requests of one tenant). The groups take turns, so
 * that a group of many requests delays those of another by one turn; within a group the order is that of arrival.
 */
export class AdmissionQueue {
  private readonly groups = new Map<unknown, Held[]>();
  private count = 0;

  /** @param places maximum number of waiting requests */
  constructor(private readonly places: number) {}

  get size(): number {
    return this.count;
  }

  /**
   * Adds a request; false if its group has half of the places that remain for it and later ones, so that some stay
   * free.
   */
  enter(group: unknown, request: IncomingMessage, response: ServerResponse, now: number): boolean {
    const held = this.groups.get(group);
    const others = this.count - (held?.length ?? 0);
    if (this.count >= this.places || (held?.length ?? 0) >= (this.places - others) / 2) return false;
    const entry = { request: Object.assign(request, { [ARRIVED]: now }), response };
    if (held) held.push(entry);
    else this.groups.set(group, [entry]);
    this.count++;
    return true;
  }

  /** Removes the oldest request of the group whose turn it is; undefined if no client waits. */
  leave(): Held | undefined {
    for (const [group, held] of this.groups) {
      this.groups.delete(group);
      const entry = this.takeFrom(held);
      if (held.length > 0) this.groups.set(group, held);
      if (entry) return entry;
    }
    return undefined;
  }

  /** Removes every request that arrived before a time. */
  leaveBefore(time: number): Held[] {
    const late: Held[] = [];
    for (const [group, held] of this.groups) {
      while (held[0] && arrivalOf(held[0].request) < time) {
        const entry = this.takeFrom(held, time);
        if (entry) late.push(entry);
      }
      if (held.length === 0) this.groups.delete(group);
    }
    return late;
  }

  /** The oldest of a group, of those before a time, whose client is still connected. */
  private takeFrom(held: Held[], before = Infinity): Held | undefined {
    while (held[0] && arrivalOf(held[0].request) < before) {
      const entry = held.shift() as Held;
      this.count--;
      const { socket } = entry.request;
      // A client that ended its side either left or waits in silence: under overload both count as left.
      if (!socket.destroyed && !socket.readableEnded) return entry;
      socket.destroy();
    }
    return undefined;
  }
}
