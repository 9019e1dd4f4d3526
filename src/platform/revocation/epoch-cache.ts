import type { EpochAtRead, Epochs } from './epochs';

/**
 * A state is read anew after this long, whatever the counters say: expiry of rows that nothing raises a counter for.
 */
const MAX_AGE_MS = 15_000;

/** A state with the counters that it was read under, in one snapshot. */
export interface ReadState<T> {
  state: T;
  epochs: readonly EpochAtRead[];
}

interface Entry<T> extends ReadState<T> {
  readAt: number;
}

/**
 * States of credentials (of a session, of an API key), kept as long as their epochs have not moved: a warm one costs no
 * query. The states that were used longest ago make room for others.
 */
export class EpochCache<T> {
  private readonly entries = new Map<string, Entry<T>>();
  private readonly reading = new Map<string, Promise<T>>();

  constructor(
    private readonly epochs: Epochs,
    private readonly maxEntries = 50_000,
  ) {}

  /**
   * The state of a credential; synchronous where it is known and current. `read` runs once for all that ask meanwhile.
   */
  get(key: string, read: () => Promise<ReadState<T>>): T | Promise<T> {
    const entry = this.entries.get(key);
    if (entry && performance.now() - entry.readAt < MAX_AGE_MS && this.epochs.areCurrent(entry.epochs)) {
      return entry.state;
    }
    return this.reading.get(key) ?? this.read(key, read);
  }

  /** Forgets a state, so that this process sees a change at once. */
  forget(key: string): void {
    this.entries.delete(key);
    // A read that is under way may be from before the change.
    this.reading.delete(key);
  }

  private read(key: string, read: () => Promise<ReadState<T>>): Promise<T> {
    const readAt = performance.now();
    const reading = read()
      .then(({ state, epochs }) => {
        this.epochs.note(epochs, readAt);
        if (this.reading.get(key) === reading) this.keep(key, { state, epochs, readAt });
        return state;
      })
      .finally(() => {
        if (this.reading.get(key) === reading) this.reading.delete(key);
      });
    this.reading.set(key, reading);
    return reading;
  }

  private keep(key: string, entry: Entry<T>): void {
    this.entries.delete(key);
    this.entries.set(key, entry);
    for (const oldest of this.entries.keys()) {
      if (this.entries.size <= this.maxEntries) break;
      this.entries.delete(oldest);
    }
  }
}
