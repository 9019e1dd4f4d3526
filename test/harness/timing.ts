/** Comparisons of times. Two kinds of requests are compared by ranks, so that one slow request counts once. */

/** The share of rounds in which the first of a pair took longer; half where both take the same time. */
function shareSlower(pairs: readonly (readonly [first: number, second: number])[]): number {
  return pairs.filter(([first, second]) => first > second).length / pairs.length;
}

/** The times of one round: of a known subject, and of two unknown ones. */
export type Round = readonly [known: number, unknown: number, other: number];

export interface TimingVerdict {
  /** How far the share is from a half: known against unknown, and unknown against unknown. */
  difference: number;
  control: number;
}

/** Compares known with unknown, and unknown with unknown as the control of noise. */
export function compareTimes(rounds: readonly Round[]): TimingVerdict {
  const known = rounds.flatMap(([known, one, other]) => [[known, one] as const, [known, other] as const]);
  const control = rounds.map(([, one, other]) => [one, other] as const);
  return { difference: Math.abs(shareSlower(known) - 0.5), control: Math.abs(shareSlower(control) - 0.5) };
}

/** The items in random order. */
export function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => [Math.random(), item] as const)
    .sort(([a], [b]) => a - b)
    .map(([, item]) => item);
}

/** The duration of synchronous work, milliseconds. */
export function timeOf(work: () => void): number {
  const begun = performance.now();
  work();
  return performance.now() - begun;
}
