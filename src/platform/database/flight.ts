import { type Connection, Query, type QueryConfig, type QueryResult } from 'pg';
import { type Prologue, settingsStatement } from './prologue';
import type { Row, SqlValue, Statement } from './statement';

/** The part of pg's own query that a flight is built on: what it does with the messages that come for it. */
interface PgQuery {
  handleDataRow(message: unknown): void;
  handleCommandComplete(message: unknown, connection: Connection): void;
}

// A client in pipeline mode takes no other class of query than pg's own, or one made from it.
const PgQuery = Query as unknown as new (
  config: QueryConfig,
  values: undefined,
  callback: (error: Error | null, results: QueryResult<Row> | QueryResult<Row>[]) => void,
) => PgQuery;

/** Whether a connection may use a statement by its name: `make` prepares it on the way, `no` sends its text. */
export type ByName = 'yes' | 'make' | 'no';

/**
 * Statements on the wire as one transaction: the settings, then each statement, and a single Sync behind them all. What
 * stands before a Sync is one implicit transaction (PostgreSQL, "Message Flow: Pipelining"): it commits at the Sync, and
 * at the first error the server skips everything up to the Sync and undoes what was done. So no statement runs whose
 * settings failed, and there is no BEGIN and no COMMIT to be sent and answered.
 */
export class Flight extends PgQuery {
  private settled: boolean;
  private readonly statements: readonly WireStatement[];

  constructor(
    prologue: Prologue,
    statements: readonly Statement[],
    private readonly byName: (name: string) => ByName,
    onEnd: (error: Error | null, rows: Row[][]) => void,
  ) {
    super({ text: '' }, undefined, (error, results) =>
      onEnd(error, error ? [] : [results].flat().map((result) => result.rows)),
    );
    this.settled = prologue.settings.length === 0;
    // Values are written out before a byte is sent: a flight that stopped half-way would be the next one's beginning.
    this.statements = (this.settled ? statements : [settingsStatement(prologue), ...statements]).map(toWireStatement);
  }

  /** Called by pg when the connection takes it. */
  submit(connection: Connection): null {
    const { stream } = connection;
    stream.cork();
    try {
      let describe = this.settled;
      for (const statement of this.statements) {
        this.write(connection as unknown as Wire, statement, describe);
        describe = true;
      }
      connection.sync();
    } finally {
      stream.uncork();
    }
    return null;
  }

  /** The settings' own row, of which nothing is wanted, was not described either. */
  override handleDataRow(message: unknown): void {
    if (this.settled) super.handleDataRow(message);
  }

  override handleCommandComplete(message: unknown, connection: Connection): void {
    if (this.settled) super.handleCommandComplete(message, connection);
    else this.settled = true;
  }

  private write(wire: Wire, { name, text, values }: WireStatement, describe: boolean): void {
    const way = this.byName(name);
    const statement = way === 'no' ? '' : name;
    // Closing what is not there is no error; what a failed flight left half-made is made anew.
    if (way === 'make') wire.close({ type: 'S', name });
    if (way !== 'yes') wire.parse({ name: statement, text });
    wire.bind({ statement, values });
    if (describe) wire.describe({ type: 'P' });
    wire.execute({});
  }
}

/** The messages of the extended query protocol as pg's connection writes them. */
interface Wire {
  close(message: { type: 'S'; name: string }): void;
  parse(message: { name: string; text: string }): void;
  bind(message: { statement: string; values: (string | Buffer | null)[] }): void;
  describe(message: { type: 'P' }): void;
  execute(message: object): void;
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
