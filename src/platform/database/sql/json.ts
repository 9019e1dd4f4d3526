/** SQL for a `timestamptz` column as the API writes times: RFC 3339 in UTC, with milliseconds; null for null. */
export function jsonTime(column: string): string {
  return `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
}

/** SQL whose value is the JSON text of one member. */
export type JsonMember = string;

/**
 * A column whose text needs no escapes: an id, a number as a string, a word of a CHECK, a time. Never null, never free
 * text.
 */
export function jsonPlain(sql: string): JsonMember {
  return `'"' || ${sql} || '"'`;
}

/** Free text; null for null. */
export function jsonText(sql: string): JsonMember {
  return `coalesce(to_json(${sql})::text, 'null')`;
}

/** A number, a boolean or a `jsonb`, which are their own JSON. Never null. */
export function jsonBare(sql: string): JsonMember {
  return sql;
}

/** A sorted list of the values of the query's rows. @param query from `from` on */
export function jsonList(element: JsonMember, sortedBy: string, query: string): JsonMember {
  return `'[' || coalesce((select string_agg(${element}, ', ' order by ${sortedBy}) ${query}), '') || ']'`;
}

/**
 * An object as text, byte for byte equal to the result of `json_build_object`, joined instead of built: it costs
 * PostgreSQL less processor time.
 */
export function jsonObject(members: Readonly<Record<string, JsonMember>>): string {
  const parts = Object.entries(members).map(
    ([name, member], at) => `'${at === 0 ? '{' : ', '}"${name}" : ' || ${member}`,
  );
  return `${parts.join(' || ')} || '}'`;
}
