/** The types that a parameter may have; any other value would be ambiguous to PostgreSQL. */
export type SqlValue = string | number | boolean | null | Date | Buffer | readonly (string | number | null)[];

/** A value in PostgreSQL's text format. @throws for an invalid Date */
export function toWire(value: SqlValue): string | Buffer | null {
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
