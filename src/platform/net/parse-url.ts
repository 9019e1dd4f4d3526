/**
 * The URL of a text; undefined for a text that is none. Not by `URL.canParse`: once Node 20 or 22 has compiled a call
 * of it, it refuses each text with a character from U+0080 to U+00FF.
 */
export function parseUrl(text: string, base?: string): URL | undefined {
  try {
    return new URL(text, base);
  } catch {
    return undefined;
  }
}
