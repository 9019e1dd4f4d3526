import { setTimeout as sleep } from 'node:timers/promises';
import type { Counter } from 'prom-client';
import { withDeadline } from '../../deadline';
import { connectionFault } from '../../net/connection-fault';
import type { Pipeline } from './pipeline';
import type { TransactionSettings } from './transaction-settings';
import type { Row, Statement } from '../sql/statement';

/** The longest wait for the replica: a silent replica must not delay a request. */
const RESPONSE_TIMEOUT_MS = 2_000;
/** The pause after a replica was behind or unavailable. */
const PAUSE_MS = 1_000;
const RETRY_MS = 5;

/** The connections to the replica, and the position to compare it with. */
export interface ReplicaOptions {
  pipeline: Pipeline;
  /** The host and port of the replica. */
  server: string;
  /** The primary's current WAL position, as a `pg_lsn`. */
  primaryPosition: () => Promise<string>;
  /** How long the replica may take to reach that position, milliseconds. */
  timeout: number;
  /** Counts reads by the server that served them. */
  reads: Counter<'served_by'>;
  onError: (error: Error) => void;
}

/**
 * A streaming replica that returns the same rows as the primary. Before a read, the primary reports its WAL position;
 * the result counts only if the replica had replayed that position at the read. So a read misses no write that was
 * acknowledged before it, whichever process made the write. A replica that stays behind, is unavailable, or is no
 * longer a replica is skipped for a second.
 */
export class Replica {
  private pausedUntil = 0;
  private positionRequest?: Promise<string>;
  private nextPositionRequest?: Promise<string>;

  constructor(private readonly options: ReplicaOptions) {}

  /** Opens the connections, or continues to try: the service does not need the replica. */
  async connect(): Promise<void> {
    await this.options.pipeline.connect().catch((error: unknown) => {
      const reason = connectionFault(error, 'sslrootcert');
      this.options.onError(new Error(`DATABASE_REPLICA_URL: cannot reach ${this.options.server} (${reason})`));
    });
  }

  async close(): Promise<void> {
    await this.options.pipeline.close();
  }

  /** One statement that reads; `undefined` if the primary must serve it. Never throws. */
  async read<R extends Row>(txSettings: TransactionSettings, statement: Statement): Promise<R[] | undefined> {
    const rows = await this.attempt<R>(txSettings, statement);
    this.options.reads.inc({ served_by: rows ? 'replica' : 'primary' });
    return rows;
  }

  private async attempt<R extends Row>(
    txSettings: TransactionSettings,
    statement: Statement,
  ): Promise<R[] | undefined> {
    const { used, idle } = this.options.pipeline.state();
    if (used + idle === 0 || performance.now() < this.pausedUntil) return undefined;
    try {
      const position = await this.positionNow();
      for (const deadline = performance.now() + this.options.timeout; ; await sleep(RETRY_MS)) {
        const [state, rows] = await withResponseTimeout(
          this.options.pipeline.run(txSettings, [hasReplayed(position), statement]),
        );
        if (state?.[0]?.reached) return rows as R[];
        if (performance.now() >= deadline) break;
      }
    } catch (error) {
      this.options.onError(error as Error);
    }
    this.pausedUntil = performance.now() + PAUSE_MS;
    return undefined;
  }

  /** Coalesces concurrent callers into one query that starts after they called. */
  private positionNow(): Promise<string> {
    if (!this.positionRequest) {
      this.positionRequest = this.options.primaryPosition().finally(() => (this.positionRequest = undefined));
      return this.positionRequest;
    }
    this.nextPositionRequest ??= this.positionRequest
      .catch(() => undefined)
      .then(() => {
        this.nextPositionRequest = undefined;
        return this.positionNow();
      });
    return this.nextPositionRequest;
  }
}

/** In the round trip of the read and before it: the read sees at least the rows that were replayed by then. */
function hasReplayed(position: string): Statement {
  return {
    name: 'replica_has_replayed',
    text: 'select pg_is_in_recovery() and coalesce(pg_last_wal_replay_lsn() >= $1::pg_lsn, false) as reached',
    values: [position],
  };
}

function withResponseTimeout<T>(response: Promise<T>): Promise<T> {
  return withDeadline(response, RESPONSE_TIMEOUT_MS, () => new Error('the replica did not reply in time'));
}
