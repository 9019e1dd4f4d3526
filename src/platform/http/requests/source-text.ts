import { UnsafeNumber } from './json-body';

/** No text of a request contains NUL: a text that begins with it is a placeholder. */
const MARK = '\0';
const MARKED = /"\\u0000([^"]*)"/g;

/** A parsed value as JSON, with numbers that a double may not hold in the characters in which they were sent. */
export function toSourceText(value: unknown): string {
  const text = JSON.stringify(value, (_key, node: unknown) =>
    node instanceof UnsafeNumber ? `${MARK}${node.source}` : node,
  );
  return text.includes('"\\u0000') ? text.replace(MARKED, '$1') : text;
}

/** An object as JSON, with the JSON text given as one of its members. */
export function withJsonMember(value: object, name: string, json: string): string {
  return JSON.stringify({ ...value, [name]: MARK }).replace(MARKED, () => json);
}
