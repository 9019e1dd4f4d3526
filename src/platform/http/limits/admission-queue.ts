import type { IncomingMessage, ServerResponse } from 'node:http';

/** A request before any work for it; its body is not read. */
export interface QueuedRequest {
  request: IncomingMessage & { [ARRIVED]?: number };
  response: ServerResponse;
}

const ARRIVED = Symbol('arrived');

/** When a request arrived, by `performance.now()`: for a queued request, the time before it was admitted. */
export function arrivalOf(request: QueuedRequest['request']): number {
  return request[ARRIVED] ?? performance.now();
}

/**
 * Requests that wait for admission, in a queue for each group (the requests of one tenant). The groups take turns, so
 * that a group of many requests delays those of another by one request; within a group the order is that of arrival.
 */
export class AdmissionQueue {
  private readonly groups = new Map<unknown, QueuedRequest[]>();
  private count = 0;

  /** @param limit maximum number of waiting requests */
  constructor(private readonly limit: number) {}

  get size(): number {
    return this.count;
  }

  /**
   * Adds a request; false if its group has half of the capacity that remains for it and later ones, so that some
   * stays free.
   */
  enqueue(group: unknown, request: IncomingMessage, response: ServerResponse, now: number): boolean {
    const queue = this.groups.get(group);
    const others = this.count - (queue?.length ?? 0);
    if (this.count >= this.limit || (queue?.length ?? 0) >= (this.limit - others) / 2) return false;
    const entry = { request: Object.assign(request, { [ARRIVED]: now }), response };
    if (queue) queue.push(entry);
    else this.groups.set(group, [entry]);
    this.count++;
    return true;
  }

  /** Removes the oldest request of the group whose turn it is; undefined if no client waits. */
  dequeue(): QueuedRequest | undefined {
    for (const [group, queue] of this.groups) {
      this.groups.delete(group);
      const entry = this.takeFrom(queue);
      if (queue.length > 0) this.groups.set(group, queue);
      if (entry) return entry;
    }
    return undefined;
  }

  /** Removes every request that arrived before a time. */
  dequeueBefore(time: number): QueuedRequest[] {
    const late: QueuedRequest[] = [];
    for (const [group, queue] of this.groups) {
      while (queue[0] && arrivalOf(queue[0].request) < time) {
        const entry = this.takeFrom(queue, time);
        if (entry) late.push(entry);
      }
      if (queue.length === 0) this.groups.delete(group);
    }
    return late;
  }

  /** The oldest of a group, of those before a time, whose client is still connected. */
  private takeFrom(queue: QueuedRequest[], before = Infinity): QueuedRequest | undefined {
    while (queue[0] && arrivalOf(queue[0].request) < before) {
      const entry = queue.shift() as QueuedRequest;
      this.count--;
      const { socket } = entry.request;
      // A client that ended its side either left or waits in silence: under overload both count as left.
      if (!socket.destroyed && !socket.readableEnded) return entry;
      socket.destroy();
    }
    return undefined;
  }
}
