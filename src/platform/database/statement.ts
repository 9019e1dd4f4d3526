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

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** A UUID as a SQL literal. Strict, since the text goes into a `SET LOCAL`, which takes no parameters. */
export function uuidLiteral(id: string): string {
  if (!UUID.test(id)) throw new Error('not a lower-case UUID');
  return `'${id}'`;
}
