/**
 * A round robin of items by their keys. The item served last comes last in the next round, so that a free permit goes
 * to the item that has waited longest, and not to the first in the list.
 */
export class RoundRobin<T> {
  private readonly items = new Map<string, T>();

  get(key: string): T | undefined {
    return this.items.get(key);
  }

  set(key: string, item: T): void {
    this.items.set(key, item);
  }

  delete(key: string): void {
    this.items.delete(key);
  }

  clear(): void {
    this.items.clear();
  }

  get size(): number {
    return this.items.size;
  }

  /** All items, the longest waiting first. */
  values(): IterableIterator<T> {
    return this.items.values();
  }

  /** A round in a fixed order: an item that is served on the way has its next turn in the next round. */
  round(): [string, T][] {
    return [...this.items];
  }

  /** Moves the served items behind all others. */
  moveToEnd(key: string): void {
    const item = this.items.get(key);
    if (item === undefined) return;
    this.items.delete(key);
    this.items.set(key, item);
  }
}
