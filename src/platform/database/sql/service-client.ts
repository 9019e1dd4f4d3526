import { Client, type ClientConfig, type PoolClient } from 'pg';
import { corkForThisTurn } from '../../net/stream-cork';
import { closesConnection } from './errors';
import { refuseUnreadableTimes } from './times';

refuseUnreadableTimes();

/**
 * The session settings that the parsing of results relies on, sent in the startup packet, which has precedence over the
 * settings of the database and the role. PgBouncer accepts these and applies them to the server's connection; it
 * refuses all others.
 */
export const STARTUP_SETTINGS = { DateStyle: 'ISO, MDY', TimeZone: 'UTC', standard_conforming_strings: 'on' } as const;

/** Longest time for a retired connection to finish its pending queries, milliseconds. */
const DRAIN_MS = 20_000;
/** Least time between two replacements of all connections, milliseconds. */
const LEAVE_INTERVAL_MS = 1_000;

const live = new Set<ServiceClient>();
let leftAt = -Infinity;

/**
 * The client of every connection of the service. It requests the session settings that parsing relies on, and retires
 * after an error that makes the connection useless, such as that of a demoted primary. A retired client accepts no more
 * queries and closes when its pending queries have ended.
 */
export class ServiceClient extends Client {
  /** Time of creation, by `performance.now()`. */
  readonly madeAt = performance.now();
  /** Called when the server ends the connection, before its pending queries fail. */
  onDropped?: (error: Error) => void;
  /** Called once when it retires, while queries may still be pending. */
  onRetired?: () => void;
  private retired = false;
  private readonly isPipelined: boolean;

  constructor(config?: ClientConfig) {
    super(config);
    this.isPipelined = config?.pipeline === true;
    // Not while it connects: pg does not settle the attempt of a client that was ended meanwhile.
    this.once('connect', () => live.add(this));
    this.once('end', () => live.delete(this));
    // An error without a listener ends the process, and between two owners (a pool and its user) there is none.
    this.on('error', () => live.delete(this));
    this.connection.on('errorMessage', (error: Error & { severity?: string }) => {
      if (error.severity === 'FATAL') this.drop(error);
      else if (live.has(this) && closesConnection(error)) this.retire(error.message);
    });
  }

  /** Whether it accepts no more queries. */
  get isRetired(): boolean {
    return this.retired;
  }

  /** Joins the queries of this turn of the event loop into one write, such as a BEGIN and the first statement. */
  join(): void {
    corkForThisTurn(this.connection.stream);
  }

  /** Called by pg when it connects; its types do not have it. */
  getStartupConf(): Record<string, string> {
    const base = Client.prototype as unknown as { getStartupConf(this: Client): Record<string, string> };
    return { ...base.getStartupConf.call(this), ...STARTUP_SETTINGS };
  }

  /** The server closes the connection: pending queries get no result. */
  private drop(error: Error): void {
    this.onDropped?.(error);
    this.connection.stream.destroy();
  }

  /** Closes the connection; a pipelined one finishes its pending queries first. */
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
 * Replaces every connection of the process. Called when a server accepts no writes: it may be a demoted primary whose
 * connections stay open. Connections that only read or listen are replaced, too: they would see stale rows and get no
 * notifications.
 */
export function retireAllConnections(): void {
  const now = performance.now();
  if (now - leftAt < LEAVE_INTERVAL_MS) return;
  leftAt = now;
  for (const client of [...live]) client.retire('its server takes no writes');
}

/** A connection of the pool. */
export type PooledClient = PoolClient & ServiceClient;
