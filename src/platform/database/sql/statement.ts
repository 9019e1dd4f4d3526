import type { QueryConfig } from 'pg';
import { type SqlValue, toWire } from './wire-values';

export type { SqlValue } from './wire-values';

/**
 * A statement with its parameters. One `name` always means one `text`: it is prepared once per connection and then only
 * bound, which halves the cost of a small query.
 */
export interface Statement {
  readonly name: string;
  readonly text: string;
  readonly values: readonly SqlValue[];
  /** The name in traces, if it is more specific than `name`. */
  readonly summary?: string;
  /**
   * The statements in its place where Citus distributes the tables. They are used for a statement that is deferred to
   * the commit, and so returns nothing.
   */
  readonly distributed?: () => readonly Statement[];
}

/** The statements as they are sent where Citus distributes the tables. */
export function distributedForm(statements: readonly Statement[]): Statement[] {
  return statements.flatMap((statement) => statement.distributed?.() ?? statement);
}

/** A row as `pg` gives it: text columns as strings, `timestamptz` as Date, `numeric` and `bigint` as strings. */
export type Row = Record<string, unknown>;

const textOfName = new Map<string, string>();

/**
 * Refuses values that `pg` would refuse on the client's side: the COMMIT that is already written behind the statement
 * could then not be stopped, and would commit the rest.
 * @throws for a second text under one name, and for a value that cannot be bound
 */
export function assertSound({ name, text, values }: Statement): void {
  const known = textOfName.get(name);
  if (known === undefined) textOfName.set(name, text);
  else if (known !== text) throw new Error(`two statements are named ${name}`);
  for (const value of values) {
    const bindable =
      typeof value !== 'object' || value === null || value instanceof Date || value instanceof Buffer || isList(value);
    if (!bindable) throw new Error(`a value of ${name} cannot be bound`);
  }
}

/** Joined statements by the names of their parts; as many as there are sets of writes in the code. */
const joined = new Map<string, { name: string; text: string; summary: string }>();

/**
 * Joins several writes into one statement, which costs PostgreSQL less than separate ones. All of them see the database
 * as it was before: none may depend on the rows of another, except by a foreign key.
 */
export function joinWrites(writes: readonly Statement[]): Statement {
  const [first] = writes;
  if (first && writes.length === 1) return first;
  let key = '';
  const values: SqlValue[] = [];
  for (const write of writes) {
    key += `${write.name} `;
    for (const value of write.values) values.push(value);
  }
  let statement = joined.get(key);
  if (!statement) {
    statement = { name: `joined_${joined.size}`, text: joinTexts(writes), summary: key.trimEnd() };
    joined.set(key, statement);
  }
  return { name: statement.name, text: statement.text, summary: statement.summary, values };
}

function joinTexts(writes: readonly Statement[]): string {
  let offset = 0;
  const texts = writes.map(({ text, values }) => {
    const before = offset;
    offset += values.length;
    return text.replace(/\$(\d+)/g, (_, number) => `$${Number(number) + before}`);
  });
  const last = texts.pop() as string;
  return `with ${texts.map((text, index) => `write_${index} as (${text})`).join(', ')} ${last}`;
}

/** The statement as a query of `pg`. */
export function toQuery({ name, text, values }: Statement, named: boolean): QueryConfig {
  return { name: named ? name : undefined, text, values: values.map(listToWire) };
}

/** A list is written here, which costs a fraction of the time that `pg` takes. */
function listToWire(value: SqlValue): unknown {
  return Array.isArray(value) ? toWire(value as SqlValue) : value;
}

function isList(value: object): boolean {
  return Array.isArray(value) && value.every((item) => typeof item !== 'object' || item === null);
}
