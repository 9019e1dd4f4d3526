/** The fault of a database that cannot hold every text. */
export function wrongEncoding(encoding: string): string {
  return `the database has the encoding ${encoding}; create it with encoding UTF8`;
}
