import { type Connection, DatabaseError, Query, type QueryConfig, types } from 'pg';
import { serialize } from 'pg-protocol';
import { corkForThisTurn } from '../../net/stream-cork';
import { type TransactionSettings, settingsStatement } from './transaction-settings';
import type { Row, SqlValue, Statement } from '../sql/statement';

/** The messages for a query, as pg's client hands them on. */
interface PgQuery {
  handleRowDescription(message: { fields: readonly Column[] }): void;
  handleDataRow(message: { fields: readonly (string | null)[] }): void;
  handleCommandComplete(): void;
  handleError(error: Error, connection: Connection): void;
}

// A client in pipeline mode takes no other class of query than pg's own, or one made from it.
const PgQuery = Query as unknown as new (
  config: QueryConfig,
  values: undefined,
  callback: (error: Error | null) => void,
) => PgQuery;

/** A column of an answer, from PostgreSQL's RowDescription. */
interface Column {
  readonly name: string;
  readonly dataTypeID: number;
}

/** What a connection knows of a statement it was asked to prepare. */
export interface Prepared {
  /** False until the flight that makes it is answered: one that comes meanwhile must not rely on it. */
  ready: boolean;
  /** What its rows look like, once it was asked; a prepared statement's never change. */
  columns?: readonly Column[];
}

const SYNC = serialize.sync();
const EXECUTE = serialize.execute();
const DESCRIBE = serialize.describe({ type: 'P' });

/**
 * Statements on the wire as one transaction: the settings, then each statement, and a single Sync behind them all. What
 * stands before a Sync is one implicit transaction (PostgreSQL, "Message Flow: Pipelining"): it commits at the Sync, and
 * at the first error the server skips everything up to the Sync and undoes what was done. So no statement runs whose
 * settings failed, and there is no BEGIN and no COMMIT to be sent and answered.
 */
export class PipelinedTransaction extends PgQuery {
  /** The settings first, if there are any. */
  private readonly statements: readonly WireStatement[];
  private readonly columns: (readonly Column[] | undefined)[] = [];
  private readonly answers: Row[][];
  private readonly made: string[] = [];
  private readonly firstOfCaller: number;
  private current = 0;

  /**
   * @param wantRows whether the rows are to be given to `onEnd`; otherwise they are not looked at
   * @param prepared what the connection has prepared, by name; `undefined` where it is not to use names
   */
  constructor(
    txSettings: TransactionSettings,
    statements: readonly Statement[],
    private readonly wantRows: boolean,
    private readonly prepared: Map<string, Prepared> | undefined,
    onEnd: (error: Error | null, rows: Row[][]) => void,
  ) {
    super({ text: '' }, undefined, (error) => {
      this.settle(error !== null);
      onEnd(error, this.answers);
    });
    this.firstOfCaller = txSettings.settings.length === 0 ? 0 : 1;
    // Values are written out before a byte is sent: a flight that stopped half-way would be the next one's beginning.
    this.statements = (this.firstOfCaller ? [settingsStatement(txSettings), ...statements] : statements).map(
      toWireStatement,
    );
    this.answers = wantRows ? statements.map(() => []) : [];
  }

  /** Called by pg when the connection takes it. */
  submit({ stream }: Connection): null {
    // One buffer, since a socket's cost of many small ones (writev) is several times that of joining them here.
    const messages: Buffer[] = [];
    this.statements.forEach((statement, index) => this.write(messages, statement, index));
    messages.push(SYNC);
    if (!stream.writable) return null;
    corkForThisTurn(stream);
    stream.write(Buffer.concat(messages));
    return null;
  }

  override handleRowDescription({ fields }: { fields: readonly Column[] }): void {
    this.columns[this.current] = fields;
    const known = this.prepared?.get((this.statements[this.current] as WireStatement).name);
    if (known) known.columns = fields;
  }

  override handleDataRow({ fields }: { fields: readonly (string | null)[] }): void {
    const columns = this.columns[this.current];
    // Of the settings' own row nothing is wanted, and it was not described.
    if (!columns) return;
    const row: Row = {};
    for (let i = 0; i < columns.length; i++) {
      const { name, dataTypeID } = columns[i] as Column;
      const value = fields[i] as string | null;
      row[name] = value === null ? null : (types.getTypeParser(dataTypeID, 'text')(value) as unknown);
    }
    (this.answers[this.current - this.firstOfCaller] as Row[]).push(row);
  }

  override handleCommandComplete(): void {
    this.current++;
  }

  /**
   * PostgreSQL tells of an error before it undoes the transaction, and is ready only afterwards: what is done about the
   * error must not meet the locks of what failed.
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
    const asked = known !== undefined && !known.ready;
    const statement = this.prepared && !asked ? name : '';
    if (this.prepared && !known) {
      this.prepared.set(name, { ready: false });
      this.made.push(name);
      // Closing what is not there is no error; what a failed flight left half-made is made anew.
      messages.push(serialize.close({ type: 'S', name }));
    }
    if (!known?.ready) messages.push(serialize.parse({ name: statement, text }));
    messages.push(serialize.bind({ statement, values }));
    if (this.wantRows && index >= this.firstOfCaller) {
      this.columns[index] = known?.columns;
      if (!known?.columns) messages.push(DESCRIBE);
    }
    messages.push(EXECUTE);
  }

  private settle(failed: boolean): void {
    for (const name of this.made) {
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

function toWireStatement({ name, text, values }: Statement): WireStatement {
  return { name, text, values: values.map(toWire) };
}

/** @throws for a Date that is none */
function toWire(value: SqlValue): string | Buffer | null {
  if (typeof value === 'string' || value === null) return value;
  if (typeof value !== 'object') return String(value);
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Buffer) return value;
  return toWireList(value as readonly (string | number | null)[]);
}

function toWireList(list: readonly (string | number | null)[]): string {
  let text = '{';
  for (let i = 0; i < list.length; i++) {
    const item = list[i] as string | number | null;
    if (i > 0) text += ',';
    if (item === null) text += 'NULL';
    else if (typeof item === 'number') text += item;
    else text += `"${/["\\]/.test(item) ? item.replace(/["\\]/g, '\\$&') : item}"`;
  }
  return `${text}}`;
}
