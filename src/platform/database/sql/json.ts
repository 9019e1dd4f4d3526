/** SQL for a `timestamptz` column as the API writes times: RFC 3339 in UTC, with milliseconds; null for null. */
export function jsonTime(column: string): string {
  return `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
}
