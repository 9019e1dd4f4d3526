import { Client, type ClientConfig } from 'pg';
import { closesConnection } from './errors';
import { refuseUnreadableTimes } from './times';

refuseUnreadableTimes();

/**
 * The session settings that reading of results relies on, sent in the startup packet: it has precedence over what is set
 * for the database and for the role. PgBouncer takes these and sets them on the server's connection; it refuses all others.
 */
export const STARTUP_SETTINGS = { DateStyle: 'ISO, MDY', TimeZone: 'UTC', standard_conforming_strings: 'on' } as const;

/** A connection that is about to be closed has so long to answer what was asked before, milliseconds. */
const DRAIN_MS = 20_000;
/** Every connection is replaced at most this often while the server is read-only, milliseconds. */
const LEAVE_INTERVAL_MS = 1_000;

const live = new Set<ServiceClient>();
let leftAt = -Infinity;

/**
 * The client of every connection of the service. It asks for the session settings that reading relies on, and retires
 * after an error which says that it is of no more use, such as that of a primary which was demoted. A retired one takes
 * no more queries, and is closed when those that were sent before are answered.
 */
export class ServiceClient extends Client {
  /** When it was made, by `performance.now()`. */
  readonly madeAt = performance.now();
  /** Called when the server says that it ends the connection, before the queries under way fail. */
  onDropped?: (error: Error) => void;
  /** Called once when it is retired, while queries may still be under way. */
  onRetired?: () => void;
  private retired = false;
  private readonly isPipelined: boolean;

  constructor(config?: ClientConfig) {
    super(config);
    this.isPipelined = config?.pipeline === true;
    // One that is still connecting is left alone: pg would never say how its attempt has ended.
    this.once('connect', () => live.add(this));
    this.once('end', () => live.delete(this));
    // A loss without a listener ends the process, and between two owners (a pool and its user) there is none.
    this.on('error', () => live.delete(this));
    this.connection.on('errorMessage', (error: Error & { severity?: string }) => {
      if (error.severity === 'FATAL') this.drop(error);
      else if (live.has(this) && closesConnection(error)) this.retire(error.message);
    });
  }

  /** Whether it takes no more queries. */
  get isRetired(): boolean {
    return this.retired;
  }

  /** Called by pg when it connects; its types do not have it. */
  getStartupConf(): Record<string, string> {
    const base = Client.prototype as unknown as { getStartupConf(this: Client): Record<string, string> };
    return { ...base.getStartupConf.call(this), ...STARTUP_SETTINGS };
  }

  /** The server closes it: nothing more is answered. */
  private drop(error: Error): void {
    this.onDropped?.(error);
    this.connection.stream.destroy();
  }

  /** Closes it, when the queries that were sent before are answered, as far as it is pipelined. */
  retire(reason: string): void {
    if (this.retired) return;
    this.retired = true;
    live.delete(this);
    this.onRetired?.();
    if (!this.isPipelined) {
      this.connection.stream.destroy(new Error(`Connection terminated: ${reason}`));
      return;
    }
    const timer = setTimeout(() => this.connection.stream.destroy(), DRAIN_MS);
    timer.unref();
    this.once('end', () => clearTimeout(timer));
    void this.end();
  }
}

/**
 * Replaces every connection of the process. To be called when a server takes no writes: it may not be the primary any
 * more, while its connections stay. Those that only read have to be left, too, or they read what is no longer true, and
 * those that wait for notifications, which come no more.
 */
export function leaveServer(): void {
  const now = performance.now();
  if (now - leftAt < LEAVE_INTERVAL_MS) return;
  leftAt = now;
  for (const client of [...live]) client.retire('its server takes no writes');
}
