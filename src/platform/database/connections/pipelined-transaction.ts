import { type Connection, DatabaseError, Query, types } from 'pg';
import { serialize } from 'pg-protocol';
import { corkForThisTurn } from '../../net/stream-cork';
import { type TransactionSettings, settingsStatement } from './transaction-settings';
import type { Row, Statement } from '../sql/statement';
import { toWire } from '../sql/wire-values';

/** The callbacks of a query in pg's client. */
interface PgQuery {
  handleRowDescription(message: { fields: readonly DescribedColumn[] }): void;
  handleDataRow(message: { fields: readonly (string | null)[] }): void;
  handleCommandComplete(): void;
  handleError(error: Error, connection: Connection): void;
}

// A client in pipeline mode accepts only pg's own class of query, or a subclass.
const PgQuery = Query as unknown as new (
  text: string,
  values: undefined,
  callback: (error: Error | null) => void,
) => PgQuery;

/** A column of a result, from PostgreSQL's RowDescription. */
interface DescribedColumn {
  readonly name: string;
  readonly dataTypeID: number;
}

/** A column with the parser of its values. */
interface Column {
  readonly name: string;
  readonly parse: (text: string) => unknown;
}

/** The state of a prepared statement on its connection. */
export interface Prepared {
  /** False until the transaction that prepares it has succeeded: a concurrent one must not rely on it. */
  ready: boolean;
  /** The columns of its rows, once they were described. A prepared statement's columns never change. */
  columns?: readonly Column[];
}

const SYNC = serialize.sync();
const EXECUTE = serialize.execute();
const DESCRIBE = serialize.describe({ type: 'P' });

/**
 * Statements on the wire as one transaction: the settings, then each statement, and a single Sync behind them.
 * Everything before a Sync is one implicit transaction (PostgreSQL, "Message Flow: Pipelining"): it commits at the
 * Sync. At the first error the server skips to the Sync and rolls back. So no statement runs whose settings failed, and
 * there is no BEGIN or COMMIT to send and wait for.
 */
export class PipelinedTransaction extends PgQuery {
  /** The settings come first, if there are any. */
  private readonly statements: readonly WireStatement[];
  private readonly columns: (readonly Column[] | undefined)[] = [];
  private readonly results: Row[][];
  private readonly preparedHere: string[] = [];
  private readonly callerOffset: number;
  private current = 0;
  /** The reason why a row could not be read; the result is then this error. */
  private unreadable?: Error;

  /**
   * @param wantRows whether `onEnd` gets the rows; otherwise they are not parsed
   * @param prepared the connection's prepared statements by name; `undefined` where names are off
   */
  constructor(
    private readonly txSettings: TransactionSettings,
    statements: readonly Statement[],
    private readonly wantRows: boolean,
    private readonly prepared: Map<string, Prepared> | undefined,
    onEnd: (error: Error | null, rows: Row[][]) => void,
  ) {
    super('', undefined, (error) => {
      this.settle(error !== null);
      onEnd(error ?? this.unreadable ?? null, this.results);
    });
    this.callerOffset = txSettings.settings.length === 0 ? 0 : 1;
    // Values are serialized before the first byte is sent: a half-written transaction would corrupt the next one.
    this.statements = (this.callerOffset ? [settingsStatement(txSettings), ...statements] : statements).map(
      toWireStatement,
    );
    this.results = wantRows ? statements.map(() => []) : [];
  }

  /** Called by pg when the connection accepts it. */
  submit({ stream }: Connection): null {
    // One buffer: many small socket writes (writev) cost several times as much as joining them here.
    const messages: Buffer[] = [];
    this.statements.forEach((statement, index) => this.write(messages, statement, index));
    messages.push(SYNC);
    if (!stream.writable) return null;
    corkForThisTurn(stream);
    stream.write(Buffer.concat(messages));
    return null;
  }

  override handleRowDescription({ fields }: { fields: readonly DescribedColumn[] }): void {
    const columns = fields.map(({ name, dataTypeID }) => ({ name, parse: types.getTypeParser(dataTypeID, 'text') }));
    this.columns[this.current] = columns;
    const known = this.prepared?.get((this.statements[this.current] as WireStatement).name);
    if (known) known.columns = columns;
  }

  override handleDataRow({ fields }: { fields: readonly (string | null)[] }): void {
    const columns = this.columns[this.current];
    // The row of the settings is not described and not wanted.
    if (!columns) return;
    const row: Row = {};
    try {
      for (let i = 0; i < columns.length; i++) {
        const { name, parse } = columns[i] as Column;
        const value = fields[i] as string | null;
        row[name] = value === null ? null : parse(value);
      }
    } catch (error) {
      // Thrown from here it would stop the parser of this connection.
      this.unreadable ??= error as Error;
      return;
    }
    (this.results[this.current - this.callerOffset] as Row[]).push(row);
  }

  override handleCommandComplete(): void {
    this.current++;
  }

  /**
   * PostgreSQL reports an error before it rolls back, and is ready only afterwards. The handling of the error must not
   * meet the locks of the failed transaction.
   */
  override handleError(error: Error, connection: Connection): void {
    if (!(error instanceof DatabaseError) || error.severity !== 'ERROR') {
      super.handleError(error, connection);
      return;
    }
    const settle = (): void => {
      connection.off('readyForQuery', settle).off('end', settle);
      super.handleError(error, connection);
    };
    connection.on('readyForQuery', settle).on('end', settle);
  }

  private write(messages: Buffer[], { name, text, values }: WireStatement, index: number): void {
    const known = this.prepared?.get(name);
    const isBeingPrepared = known !== undefined && !known.ready;
    const statement = this.prepared && !isBeingPrepared ? name : '';
    if (this.prepared && !known) {
      this.prepared.set(name, { ready: false });
      this.preparedHere.push(name);
      // Closing an unknown statement is no error; a statement that a failed transaction left half-made is prepared
      // again.
      messages.push(serialize.close({ type: 'S', name }));
    }
    if (!known?.ready) messages.push(serialize.parse({ name: statement, text }));
    // A tenant's settings are bound in every transaction, always to the same values.
    if (index < this.callerOffset && statement !== '')
      messages.push((this.txSettings.bound ??= bind(statement, values)));
    else messages.push(serialize.bind({ statement, values }));
    if (this.wantRows && index >= this.callerOffset) {
      this.columns[index] = known?.columns;
      if (!known?.columns) messages.push(DESCRIBE);
    }
    messages.push(EXECUTE);
  }

  private settle(failed: boolean): void {
    for (const name of this.preparedHere) {
      const known = this.prepared?.get(name);
      if (failed) this.prepared?.delete(name);
      else if (known) known.ready = true;
    }
  }
}

/** A statement whose values are in PostgreSQL's text format. */
interface WireStatement {
  name: string;
  text: string;
  values: (string | Buffer | null)[];
}

/** A Bind message to keep: the serializer's own buffer is used again. */
function bind(statement: string, values: (string | Buffer | null)[]): Buffer {
  return Buffer.from(serialize.bind({ statement, values }));
}

function toWireStatement({ name, text, values }: Statement): WireStatement {
  return { name, text, values: values.map(toWire) };
}
