import type { QueryConfig } from 'pg';

/** What may be bound to a statement's parameter; anything else has no one meaning to PostgreSQL. */
export type SqlValue = string | number | boolean | null | Date | Buffer | readonly (string | number | null)[];

/**
 * A statement with its parameters. One `name` always means one `text`: it is prepared once per connection and then
 * only bound, which halves the cost of a small query.
 */
export interface Statement {
  readonly name: string;
  readonly text: string;
  readonly values: readonly SqlValue[];
}

/** A row as `pg` gives it: text columns as strings, `timestamptz` as Date, `numeric` and `bigint` as strings. */
export type Row = Record<string, unknown>;

const textOfName = new Map<string, string>();

/**
 * Refuses what `pg` would refuse on the client's side only: there the COMMIT that is already written behind it could
 * no longer be held back, and would keep the rest.
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

/** The statement as `pg` takes it. */
export function toQuery({ name, text, values }: Statement, named: boolean): QueryConfig {
  return { name: named ? name : undefined, text, values: values as unknown[] };
}

function isList(value: object): boolean {
  return Array.isArray(value) && value.every((item) => typeof item !== 'object' || item === null);
}
