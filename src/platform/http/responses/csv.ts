/** Cells of comma-separated values. */

/** What a spreadsheet may run at the head of a cell, in full width too. */
const ACTIVE = /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;
/** What ends a cell in RFC 4180, or in a program that separates by semicolon, tab or bar, too. */
const SEPARATING = /[",;\t|\r\n]/;

/** A cell of RFC 4180: what a spreadsheet would run is text behind an apostrophe, what might end the cell is quoted. */
export function csvCell(text: string): string {
  const harmless = ACTIVE.test(text) ? `'${text}` : text;
  return SEPARATING.test(harmless) || harmless !== text ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
