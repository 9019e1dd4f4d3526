import type { EpochAtRead, Epochs } from './epochs';

/** A state is read again after this time, even with unchanged counters, because expiry changes no counter. */
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
 * States of credentials (of a session, of an API key), valid until their epochs change: a cached one costs no query.
 * The least recently used states are evicted.
 */
export class EpochCache<T> {
  private readonly entries = new Map<string, Entry<T>>();
  private readonly reading = new Map<string, Promise<T>>();

  constructor(
    private readonly epochs: Epochs,
    private readonly maxEntries = 50_000,
  ) {}

  /** The state of a credential; synchronous if it is cached and current. `read` runs once for concurrent calls. */
  get(key: string, read: () => Promise<ReadState<T>>): T | Promise<T> {
    const entry = this.entries.get(key);
    if (entry && performance.now() - entry.readAt < MAX_AGE_MS && this.epochs.areCurrent(entry.epochs)) {
      return entry.state;
    }
    return this.reading.get(key) ?? this.read(key, read);
  }

  /** Drops a state, so that this process sees a change immediately. */
  forget(key: string): void {
    this.entries.delete(key);
    // A running read may be from before the change.
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
