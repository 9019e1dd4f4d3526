/** Content negotiation by `Accept` (RFC 9110, 12.5.1). */
interface Range {
  type: string;
  quality: number;
}

/**
 * The media type of `offered` that the caller prefers; the first of them without a preference. Undefined if it accepts
 * none.
 */
export function preferredType<T extends string>(accept: string | undefined, offered: readonly T[]): T | undefined {
  if (accept === undefined || accept.trim() === '' || accept === '*/*') return offered[0];
  const ranges = accept.split(',').map(parseRange);
  let best: T | undefined;
  let bestQuality = 0;
  for (const type of offered) {
    const quality = qualityOf(type, ranges);
    if (quality > bestQuality) [best, bestQuality] = [type, quality];
  }
  return best;
}

/** Every route accepts an `Accept` that names problems: each may respond with one. */
export function namesProblems(accept: string): boolean {
  return accept
    .split(',')
    .map(parseRange)
    .some(({ type, quality }) => type === 'application/problem+json' && quality > 0);
}

/** The most specific range that covers a type decides on it. */
function qualityOf(type: string, ranges: readonly Range[]): number {
  for (const name of [type, `${type.split('/')[0]}/*`, '*/*']) {
    const range = ranges.find((candidate) => candidate.type === name);
    if (range) return range.quality;
  }
  return 0;
}

function parseRange(text: string): Range {
  const [type = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase());
  const weight = parameters.map((parameter) => /^q\s*=\s*([\d.]+)$/.exec(parameter)?.[1]).find(Boolean);
  const quality = weight === undefined ? 1 : Number(weight);
  return { type, quality: Number.isNaN(quality) ? 1 : quality };
}
