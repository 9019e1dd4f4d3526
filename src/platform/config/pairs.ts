/** Reads names and values: `name=value`, comma-separated, values percent-encoded. @throws Error for anything else */
export function readPairs(text: string): [name: string, value: string][] {
  if (text === '') return [];
  return text.split(',').map((pair) => {
    const [, name, value] = /^\s*([A-Za-z0-9._-]+)\s*=\s*(.*?)\s*$/.exec(pair) ?? [];
    try {
      if (name !== undefined && value !== undefined) return [name, decodeURIComponent(value)];
    } catch {
      // the error below names the fault
    }
    throw new Error('must list name=value, comma-separated, values percent-encoded');
  });
}
