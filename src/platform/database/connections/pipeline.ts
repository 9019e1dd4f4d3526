import type { ClientConfig } from 'pg';
import { Unavailable } from '../../errors';
import type { PoolState } from '../../observability/metrics';
import { isReadOnlyServer, isStaleStatement, translateDatabaseError } from '../sql/errors';
import { retireAllConnections, ServiceClient } from '../sql/service-client';
import { PipelinedTransaction, type Prepared } from './pipelined-transaction';
import { isReadOnly, type TransactionSettings } from './transaction-settings';
import { assertSound, type Row, type Statement } from '../sql/statement';

/** Transactions in flight on one connection beyond which another is refused: a bound on memory and on waiting. */
const MAX_IN_FLIGHT = 1_024;
/**
 * The part of them that is open to new requests: enough to keep PostgreSQL busy. The rest serves further statements of
 * admitted requests, such as a session that is read again.
 */
const MAX_ADMITTED = 128;
/** The number of transactions in the moving average of the duration. */
const DURATION_WINDOW = 20;
/** The assumed duration of a transaction while none has ended. */
const MIN_DURATION_MS = 0.001;
/** Longer than any transaction may take. */
const FULL_MS = 1e6;
const RECONNECT_DELAYS_MS = [20, 100, 250, 500, 1_000, 2_000];

/** Options of a {@link Pipeline}. */
export interface PipelineOptions {
  connection: ClientConfig;
  connections: number;
  preparedStatements: boolean;
  /** A connection without a reply for this long is closed, milliseconds. */
  deadline: number;
  onError: (error: Error) => void;
  /** Called with the time that each transaction waited behind others on its connection, seconds. */
  onWait: (seconds: number) => void;
}

/**
 * A few connections shared by all requests. Each transaction is written whole, as one {@link PipelinedTransaction},
 * without waiting for earlier replies (pg's pipeline mode), so a transaction costs one round trip.
 */
export class Pipeline {
  private readonly connections: PipelinedConnection[];
  private next = 0;

  constructor(options: PipelineOptions) {
    this.connections = Array.from({ length: options.connections }, () => new PipelinedConnection(options));
  }

  /** The number of its connections. */
  get size(): number {
    return this.connections.length;
  }

  /**
   * Runs the statements in one transaction and one round trip.
   * @returns the rows of each statement, unless `wantRows` is false
   * @throws Unavailable when no connection is open, or this one is lost (the outcome is then unknown)
   */
  run(txSettings: TransactionSettings, statements: readonly Statement[], wantRows = true): Promise<Row[][]> {
    return new Promise((resolve, reject) => {
      this.start({ txSettings, statements, wantRows, requestedAt: performance.now(), resolve, reject });
    });
  }

  /**
   * Replaces connections made before this time (`performance.now()`). Transactions in flight still get their results.
   */
  renew(before: number): void {
    for (const connection of this.connections) connection.renew(before);
  }

  private start(transaction: QueuedTransaction, isRetry = false): void {
    const connection = this.leastBusy(transaction.requestedAt);
    if (!connection) return this.startOnceOpen(transaction, isRetry);
    this.next = (this.next + 1) % this.connections.length;
    if (connection.inFlight >= MAX_IN_FLIGHT) {
      transaction.reject(new Unavailable('all pipelined connections are full'));
      return;
    }
    try {
      connection.run(transaction, (error) => {
        if (isRetry || !isStaleStatement(error)) return transaction.reject(error);
        this.renew(transaction.requestedAt);
        this.start(transaction, true);
      });
    } catch (error) {
      transaction.reject(error);
    }
  }

  private startOnceOpen(transaction: QueuedTransaction, isRetry: boolean): void {
    void Promise.race(this.connections.map((candidate) => candidate.connected())).then(() => {
      if (this.leastBusy(performance.now())) this.start(transaction, isRetry);
      else transaction.reject(new Unavailable('no pipelined connection to the database'));
    });
  }

  /** Opens the connections. @throws when the database cannot be reached */
  async connect(): Promise<void> {
    await Promise.all(this.connections.map((connection) => connection.connect()));
  }

  /** Waits for transactions in flight, then closes. */
  async close(): Promise<void> {
    await Promise.all(this.connections.map((connection) => connection.close()));
  }

  /** The current use of the connections. All but the first transaction of a connection wait for the one before. */
  state(): PoolState {
    let used = 0;
    let idle = 0;
    let waiting = 0;
    for (const connection of this.connections) {
      if (connection.inFlight > 0) used++;
      else if (connection.open) idle++;
      waiting += Math.max(0, connection.inFlight - 1);
    }
    return { used, idle, waiting };
  }

  /**
   * The number of further requests whose transaction would wait behind others for at most `longestWait` milliseconds.
   */
  capacity(longestWait: number): number {
    let isOpen = false;
    let capacity = 0;
    for (const connection of this.connections) {
      if (!connection.open) continue;
      isOpen = true;
      capacity += connection.capacity(longestWait);
    }
    // Without an open connection, admit the request so that it fails with the real error.
    return isOpen ? capacity : MAX_ADMITTED;
  }

  /**
   * The connection that would begin a transaction first; idle ones are used in rotation. Their number in
   * flight alone does not tell: a backend that gets less of the processor takes several times as long for each.
   */
  private leastBusy(now: number): PipelinedConnection | undefined {
    let best: PipelinedConnection | undefined;
    let shortest = Infinity;
    for (let i = 0; i < this.connections.length; i++) {
      const connection = this.connections[(this.next + i) % this.connections.length] as PipelinedConnection;
      if (!connection.open) continue;
      const wait = connection.expectedWait(now);
      if (wait < shortest) [best, shortest] = [connection, wait];
    }
    return best;
  }
}

/** A transaction with the promise that its caller waits for. */
interface QueuedTransaction {
  txSettings: TransactionSettings;
  statements: readonly Statement[];
  wantRows: boolean;
  requestedAt: number;
  resolve: (rows: Row[][]) => void;
  reject: (error: unknown) => void;
}

class PipelinedConnection {
  open = false;
  inFlight = 0;
  private client?: ServiceClient;
  private connecting?: Promise<void>;
  private closed = false;
  private failures = 0;
  private reconnectTimer?: NodeJS.Timeout;
  private watchdog?: NodeJS.Timeout;
  /** Replies seen so far: the watchdog's sign of life. */
  private replies = 0;
  /**
   * The start of the current transaction in PostgreSQL: at the end of the previous one, or immediately on an idle
   * connection.
   */
  private begunAt = 0;
  /** A moving average of the duration of a transaction, milliseconds. */
  private averageDuration = 0;
  /** Statements prepared on this connection. */
  private prepared = new Map<string, Prepared>();

  constructor(private readonly options: PipelineOptions) {}

  /** @throws if a statement cannot be sent */
  run({ txSettings, statements, wantRows, resolve }: QueuedTransaction, onError: (error: unknown) => void): void {
    const client = this.client as ServiceClient;
    for (const statement of statements) assertSound(statement);
    const sentAt = performance.now();
    if (this.inFlight === 0) this.begunAt = sentAt;
    const onEnd = (error: Error | null, rows: Row[][]): void => {
      this.inFlight--;
      this.replies++;
      const now = performance.now();
      this.options.onWait(Math.max(0, this.begunAt - sentAt) / 1000);
      this.averageDuration += (now - this.begunAt - this.averageDuration) / DURATION_WINDOW;
      this.begunAt = now;
      if (!error) return resolve(rows);
      const readOnly = isReadOnly(txSettings);
      if (!readOnly && isReadOnlyServer(error)) retireAllConnections();
      onError(translateDatabaseError(error, readOnly));
    };
    const names = this.options.preparedStatements ? this.prepared : undefined;
    const transaction = new PipelinedTransaction(txSettings, statements, wantRows, names, onEnd);
    this.inFlight++;
    client.query(transaction);
  }

  /**
   * The expected wait of a transaction behind those in flight, milliseconds. A connection without capacity for new
   * requests comes last.
   */
  expectedWait(now: number): number {
    if (this.inFlight >= MAX_ADMITTED) return this.inFlight * FULL_MS;
    return this.inFlight * Math.max(this.averageDuration, MIN_DURATION_MS) + this.lateness(now);
  }

  /** By how much the current transaction takes longer than they do on average, milliseconds. */
  private lateness(now: number): number {
    return this.inFlight === 0 ? 0 : Math.max(0, now - this.begunAt - this.averageDuration);
  }

  /**
   * Estimates how many transactions can start within `longestWait`, from the average duration and the time that the
   * current one has run.
   */
  capacity(longestWait: number): number {
    const fitting =
      1 +
      Math.floor((longestWait - this.lateness(performance.now())) / Math.max(this.averageDuration, MIN_DURATION_MS));
    return Math.max(0, Math.min(MAX_ADMITTED, fitting) - this.inFlight);
  }

  /** Replaces the connection if it was made before this time (`performance.now()`). */
  renew(before: number): void {
    if (this.client && this.client.madeAt < before) this.client.retire('its prepared statements are out of date');
  }

  /** Resolves when the current or a new attempt to connect has ended; never rejects. */
  async connected(): Promise<void> {
    if (this.open || this.closed) return;
    try {
      await this.connect();
    } catch {
      // connect() has reported the error; the caller looks at `open`
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
    const client = new ServiceClient({
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
    client.onDropped = onLost;
    // Transactions in flight still get their results; the next one uses a new connection.
    client.onRetired = () => {
      if (this.client !== client) return;
      this.open = false;
      this.client = undefined;
      clearInterval(this.watchdog);
      this.reconnectLater();
    };
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

  /** Destroys a connection that had transactions in flight and no reply for the deadline. */
  private watch(client: ServiceClient): void {
    clearInterval(this.watchdog);
    let seen = this.replies;
    let quietSince = performance.now();
    this.watchdog = setInterval(() => {
      if (this.inFlight === 0 || this.replies !== seen) {
        seen = this.replies;
        quietSince = performance.now();
      } else if (performance.now() - quietSince > this.options.deadline) {
        const silence = new Error('Connection terminated: no reply from the database within the deadline');
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
