import { Client, type ClientConfig } from 'pg';
import { Unavailable } from '../../errors';
import type { PoolState } from '../../observability/metrics';
import { isStaleStatement, translateDatabaseError } from '../sql/errors';
import { Flight, type Prepared } from './pipelined-transaction';
import type { Prologue } from './transaction-settings';
import { assertSound, type Row, type Statement } from '../sql/statement';

/** Flights on their way on one lane beyond which another is refused: a bound on memory and on waiting. */
const MAX_IN_FLIGHT = 1_024;
/**
 * How many of them requests are let in for: enough to keep PostgreSQL busy. The rest is for what those ask for beside: a
 * session that is read again, a tenant's limits.
 */
const LET_IN = 128;
/** Errors behind which the server closes the connection (SQLSTATE): shutdowns, and time-outs of the session. */
const CLOSES = /^(57P0.|25P0[34])$/;
/** Of how many flights the mean time is known. */
const FLIGHTS_REMEMBERED = 20;
const RECONNECT_DELAYS_MS = [20, 100, 250, 500, 1_000, 2_000];

/** How to connect, and what to send. */
export interface PipelineOptions {
  connection: ClientConfig;
  lanes: number;
  preparedStatements: boolean;
  /** A flight that is not answered after this long loses its lane, milliseconds. */
  deadline: number;
  onError: (error: Error) => void;
  /** Told how long each flight stood behind others on its lane, seconds. */
  onWait: (seconds: number) => void;
}

/**
 * A few connections shared by all requests, on which each transaction is written whole, in one {@link Flight}. Nothing
 * is awaited in between, so flights of several requests follow each other on one connection without waiting for answers
 * (pg's pipeline mode), and one round trip is all that a transaction costs.
 */
export class Pipeline {
  private readonly lanes: Lane[];
  private next = 0;

  constructor(options: PipelineOptions) {
    this.lanes = Array.from({ length: options.lanes }, () => new Lane(options));
  }

  /**
   * Runs the statements in one transaction and one round trip.
   * @returns the rows of each statement, unless `wantRows` is false
   * @throws Unavailable when no connection can be had, or this one is lost (the outcome is then unknown)
   */
  async flight(prologue: Prologue, statements: readonly Statement[], wantRows = true): Promise<Row[][]> {
    try {
      return await this.attempt(prologue, statements, wantRows);
    } catch (error) {
      if (!isStaleStatement(error)) throw error;
      return this.attempt(prologue, statements, wantRows);
    }
  }

  private async attempt(prologue: Prologue, statements: readonly Statement[], wantRows: boolean): Promise<Row[][]> {
    let lane = this.leastBusy();
    if (!lane) {
      await Promise.race(this.lanes.map((candidate) => candidate.connected()));
      lane = this.leastBusy();
      if (!lane) throw new Unavailable('no pipelined connection to the database');
    }
    this.next = (this.next + 1) % this.lanes.length;
    if (lane.inFlight >= MAX_IN_FLIGHT) throw new Unavailable('all pipelined connections are full');
    return lane.flight(prologue, statements, wantRows);
  }

  /** Opens the connections; @throws when the database cannot be reached. */
  async connect(): Promise<void> {
    await Promise.all(this.lanes.map((lane) => lane.connect()));
  }

  /** Lets what is in flight finish, then closes. */
  async close(): Promise<void> {
    await Promise.all(this.lanes.map((lane) => lane.close()));
  }

  /** What the lanes do now; all but the first flight of a lane wait for the one before. */
  state(): PoolState {
    let used = 0;
    let idle = 0;
    let waiting = 0;
    for (const lane of this.lanes) {
      if (lane.inFlight > 0) used++;
      else if (lane.open) idle++;
      waiting += Math.max(0, lane.inFlight - 1);
    }
    return { used, idle, waiting };
  }

  /** For how many more requests there is room, a flight of which stands behind others for no longer than this, milliseconds. */
  room(longestWait: number): number {
    const open = this.lanes.filter((lane) => lane.open);
    // Where there is none, who asks has to learn of it.
    if (open.length === 0) return LET_IN;
    return open.reduce((room, lane) => room + lane.room(longestWait), 0);
  }

  private leastBusy(): Lane | undefined {
    let best: Lane | undefined;
    for (let i = 0; i < this.lanes.length; i++) {
      const lane = this.lanes[(this.next + i) % this.lanes.length] as Lane;
      if (lane.open && (!best || lane.inFlight < best.inFlight)) best = lane;
    }
    return best;
  }
}

class Lane {
  open = false;
  inFlight = 0;
  private client?: Client;
  private connecting?: Promise<void>;
  private closed = false;
  private failures = 0;
  private reconnectTimer?: NodeJS.Timeout;
  private watchdog?: NodeJS.Timeout;
  /** Answers seen so far: the watchdog's sign of life. */
  private answered = 0;
  /** When PostgreSQL began with the flight that it is at: when the one before was done, or there was none. */
  private begunAt = 0;
  /** A moving average of what a flight takes, milliseconds. */
  private flightTime = 0;
  /** Statements that this connection was asked to prepare. */
  private prepared = new Map<string, Prepared>();

  constructor(private readonly options: PipelineOptions) {}

  flight(prologue: Prologue, statements: readonly Statement[], wantRows: boolean): Promise<Row[][]> {
    const client = this.client as Client;
    const { prepared } = this;
    for (const statement of statements) assertSound(statement);
    const sentAt = performance.now();
    if (this.inFlight === 0) this.begunAt = sentAt;
    return new Promise((resolve, reject) => {
      const onEnd = (error: Error | null, rows: Row[][]): void => {
        this.inFlight--;
        this.answered++;
        const now = performance.now();
        this.options.onWait(Math.max(0, this.begunAt - sentAt) / 1000);
        this.flightTime += (now - this.begunAt - this.flightTime) / FLIGHTS_REMEMBERED;
        this.begunAt = now;
        if (error) {
          if (CLOSES.test((error as { code?: string }).code ?? '')) this.giveUp(client);
          if (isStaleStatement(error)) prepared.clear();
          reject(translateDatabaseError(error));
        } else {
          resolve(rows);
        }
      };
      const names = this.options.preparedStatements ? prepared : undefined;
      const flight = new Flight(prologue, statements, wantRows, names, onEnd);
      this.inFlight++;
      client.query(flight);
    });
  }

  /** What is before one takes as long as others did, and the first may be late by now; the first of all stands behind none. */
  room(longestWait: number): number {
    const late = this.inFlight === 0 ? 0 : Math.max(0, performance.now() - this.begunAt - this.flightTime);
    const fitting = 1 + Math.floor((longestWait - late) / Math.max(this.flightTime, 0.001));
    return Math.max(0, Math.min(LET_IN, fitting) - this.inFlight);
  }

  /** Takes no more flights on a connection that is about to be closed by the server. */
  private giveUp(client: Client): void {
    if (this.client === client) this.open = false;
    client.connection.stream.destroy();
  }

  /** Settles when an attempt to connect, under way or begun now, has ended; never rejects. */
  async connected(): Promise<void> {
    if (this.open || this.closed) return;
    try {
      await this.connect();
    } catch {
      // reported by connect(); the caller looks at `open`
    }
  }

  connect(): Promise<void> {
    this.connecting ??= this.attempt().finally(() => {
      this.connecting = undefined;
    });
    return this.connecting;
  }

  private async attempt(): Promise<void> {
    clearTimeout(this.reconnectTimer);
    const client = new Client({
      ...this.options.connection,
      connectionTimeoutMillis: 5_000,
      keepAlive: true,
      pipeline: true,
    });
    let lost = false;
    const onLost = (error?: Error): void => {
      if (lost) return;
      lost = true;
      if (this.client === client) {
        this.open = false;
        this.client = undefined;
        clearInterval(this.watchdog);
        if (error && !this.closed) this.options.onError(error);
        this.reconnectLater();
      }
      client.connection.stream.destroy();
    };
    client.on('error', onLost);
    client.on('end', () => onLost());
    try {
      await client.connect();
    } catch (error) {
      lost = true;
      client.connection.stream.destroy();
      this.reconnectLater();
      throw translateDatabaseError(error);
    }
    if (lost) throw new Unavailable('the database closed a new connection');
    this.failures = 0;
    this.prepared = new Map();
    this.client = client;
    this.open = true;
    this.watch(client);
  }

  /** Destroys a connection on which nothing was answered for the deadline although something was asked. */
  private watch(client: Client): void {
    clearInterval(this.watchdog);
    let seen = this.answered;
    let quietSince = performance.now();
    this.watchdog = setInterval(() => {
      if (this.inFlight === 0 || this.answered !== seen) {
        seen = this.answered;
        quietSince = performance.now();
      } else if (performance.now() - quietSince > this.options.deadline) {
        const silence = new Error('Connection terminated: no answer from the database within the deadline');
        client.connection.stream.destroy(silence);
      }
    }, 1_000);
    this.watchdog.unref();
  }

  private reconnectLater(): void {
    if (this.closed) return;
    const delay = RECONNECT_DELAYS_MS[Math.min(this.failures, RECONNECT_DELAYS_MS.length - 1)] as number;
    this.failures++;
    clearTimeout(this.reconnectTimer);
    this.reconnectTimer = setTimeout(() => void this.connected(), delay * (0.75 + Math.random() / 2));
    this.reconnectTimer.unref();
  }

  async close(): Promise<void> {
    this.closed = true;
    clearTimeout(this.reconnectTimer);
    clearInterval(this.watchdog);
    await this.connecting?.catch(() => undefined);
    const client = this.client;
    this.open = false;
    if (client) await client.end();
  }
}
