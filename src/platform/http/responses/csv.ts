/** Cells of comma-separated values. */

/** Characters that make a spreadsheet run a cell, in full width too. */
const ACTIVE = /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;
/** Characters that end a cell in RFC 4180, or in a program that separates by semicolon, tab or bar. */
const SEPARATING = /[",;\t|\r\n]/;

/** A cell of RFC 4180: a formula becomes text behind an apostrophe, and a cell with a separator is quoted. */
export function csvCell(text: string): string {
  const harmless = ACTIVE.test(text) ? `'${text}` : text;
  return SEPARATING.test(harmless) || harmless !== text ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
