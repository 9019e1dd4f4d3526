import { Client, type ClientConfig, type QueryResult } from 'pg';
import { Unavailable } from '../errors';
import { translateDatabaseError } from './errors';
import { assertSound, type Row, type Statement, toQuery } from './statement';

/** Statements on their way on one lane beyond which a flight is refused: a bound on memory and on waiting. */
const MAX_IN_FLIGHT = 512;
const RECONNECT_DELAYS_MS = [20, 100, 250, 500, 1_000, 2_000];

/** How to connect, and what to send. */
export interface PipelineOptions {
  connection: ClientConfig;
  lanes: number;
  preparedStatements: boolean;
  /** A flight that is not answered after this long loses its lane, milliseconds. */
  deadline: number;
  onError: (error: Error) => void;
}

/**
 * A few connections shared by all requests, on which each transaction is written whole, in one flight: its BEGIN
 * with the settings, its statements, its COMMIT. Nothing is awaited in between, so flights of several requests
 * follow each other on one connection without waiting for answers (pg's pipeline mode), and one round trip is all
 * that a transaction costs.
 *
 * It fails closed: where the prologue fails, PostgreSQL refuses the statements behind it ("current transaction is
 * aborted"), and where any statement fails the COMMIT at the end rolls back.
 */
export class Pipeline {
  private readonly lanes: Lane[];
  private next = 0;

  constructor(options: PipelineOptions) {
    this.lanes = Array.from({ length: options.lanes }, () => new Lane(options));
  }

  /**
   * Runs the statements in one transaction and one round trip.
   * @param prologue `BEGIN` and `SET LOCAL`s, as one simple query
   * @returns the rows of each statement
   * @throws Unavailable when no connection can be had, or this one is lost (the outcome is then unknown)
   */
  async flight(prologue: string, statements: readonly Statement[]): Promise<Row[][]> {
    let lane = this.leastBusy();
    if (!lane) {
      await Promise.race(this.lanes.map((candidate) => candidate.connected()));
      lane = this.leastBusy();
      if (!lane) throw new Unavailable('no pipelined connection to the database');
    }
    if (lane.inFlight >= MAX_IN_FLIGHT) throw new Unavailable('all pipelined connections are full');
    return lane.flight(prologue, statements);
  }

  /** Opens the connections; @throws when the database cannot be reached. */
  async connect(): Promise<void> {
    await Promise.all(this.lanes.map((lane) => lane.connect()));
  }

  /** Lets what is in flight finish, then closes. */
  async close(): Promise<void> {
    await Promise.all(this.lanes.map((lane) => lane.close()));
  }

  private leastBusy(): Lane | undefined {
    let best: Lane | undefined;
    for (let i = 0; i < this.lanes.length; i++) {
      const lane = this.lanes[(this.next + i) % this.lanes.length] as Lane;
      if (lane.open && (!best || lane.inFlight < best.inFlight)) best = lane;
    }
    this.next = (this.next + 1) % this.lanes.length;
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
  /** Names of statements that this connection was asked to prepare, and whether it has. */
  private prepared = new Map<string, 'asked' | 'ready'>();

  constructor(private readonly options: PipelineOptions) {}

  flight(prologue: string, statements: readonly Statement[]): Promise<Row[][]> {
    const client = this.client as Client;
    // What the client writes to: with TLS this is not the socket it began with, so it is asked for each time.
    const stream = client.connection.stream;
    const { prepared } = this;
    for (const statement of statements) assertSound(statement);
    const queries = statements.map((statement) => toQuery(statement, this.options.preparedStatements));
    return new Promise((resolve, reject) => {
      const results: Row[][] = [];
      let failure: Error | undefined;
      // An error of the prologue or of an earlier statement is the cause of those that follow it: keep the first.
      const fail = (error: Error | null): void => {
        if (error) failure ??= error;
      };
      this.inFlight++;
      stream.cork();
      try {
        void client.query(prologue, fail as never);
        for (const query of queries) {
          if (query.name !== undefined && !this.mayName(query.name)) query.name = undefined;
          client.query(query, (error: Error | null, result: QueryResult<Row>) => {
            if (query.name !== undefined) {
              if (!error) prepared.set(query.name, 'ready');
              else if (prepared.get(query.name) === 'asked') prepared.delete(query.name);
            }
            if (error) failure ??= error;
            else results.push(result.rows);
          });
        }
        client.query('COMMIT', (error: Error | null, result: QueryResult) => {
          this.inFlight--;
          this.answered++;
          if (error) failure ??= error;
          else if (result.command !== 'COMMIT') failure ??= new Error(`the transaction ended in ${result.command}`);
          if (failure) reject(translateDatabaseError(failure));
          else resolve(results);
        });
      } finally {
        stream.uncork();
      }
    });
  }

  /**
   * Whether a statement may go by its name. A flight that comes while another's first use of the name is not
   * answered must not rely on it: where that other flight failed before the statement was prepared, so would this one.
   */
  private mayName(name: string): boolean {
    const state = this.prepared.get(name);
    if (state === undefined) this.prepared.set(name, 'asked');
    return state !== 'asked';
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
    let seen = this.answered;
    let quietSince = Date.now();
    this.watchdog = setInterval(() => {
      if (this.inFlight === 0 || this.answered !== seen) {
        seen = this.answered;
        quietSince = Date.now();
      } else if (Date.now() - quietSince > this.options.deadline) {
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
