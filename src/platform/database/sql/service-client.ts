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

/**
 * The client of every connection of the service. It asks for the session settings that reading relies on, and closes
 * itself after an error which says that the server at its other end is the wrong one by now, such as a primary that was
 * demoted. Queries that were sent before that error are still answered.
 */
export class ServiceClient extends Client {
  /** When it was made, by `performance.now()`. */
  readonly madeAt = performance.now();
  private retired = false;

  constructor(config?: string | ClientConfig) {
    super(config);
    // A loss without a listener ends the process, and between two owners (a pool and its user) there is none.
    this.on('error', () => undefined);
    this.connection.on('errorMessage', (error: Error & { severity?: string }) => {
      if (error.severity === 'FATAL') this.connection.stream.destroy();
      else if (closesConnection(error)) this.retire();
    });
  }

  /** Called by pg when it connects; its types do not have it. */
  getStartupConf(): Record<string, string> {
    const base = Client.prototype as unknown as { getStartupConf(this: Client): Record<string, string> };
    return { ...base.getStartupConf.call(this), ...STARTUP_SETTINGS };
  }

  /** Takes no more queries, and closes when those under way are answered, or have had time enough. */
  retire(): void {
    if (this.retired) return;
    this.retired = true;
    const timer = setTimeout(() => this.connection.stream.destroy(), DRAIN_MS);
    timer.unref();
    this.once('end', () => clearTimeout(timer));
    void this.end();
  }
}
