/** Memory and file descriptors over the run, by process life. */
import { readdirSync } from 'node:fs';
import { residentMiB } from './processes.mjs';
import { median } from './report.mjs';

/** The first part of a life, in which code is compiled and caches fill. */
const WARM_UP = 0.2;
/** Growth from the middle third to the last one that counts as a leak: of memory, and of descriptors. */
const MOST_GROWTH = { share: 1.25, descriptors: 12 };
const MOST_PARTS = 3;

/** Samples processes. */
export class Meters {
  /** @type {{ part: string, kind: string, life: number, age: number, mib: number, descriptors: number }[]} */
  samples = [];

  /** @param {import('./soak-part.mjs').Part[]} parts */
  constructor(parts) {
    this.parts = parts.filter(({ kind }) => kind !== 'postgres');
  }

  sample() {
    for (const part of this.parts) {
      if (!part.isUp) continue;
      try {
        const descriptors = readdirSync(`/proc/${part.pid}/fd`).length;
        const age = (performance.now() - part.life.began) / 1000;
        const { name, kind } = part;
        this.samples.push({ part: name, kind, life: part.lives.length, age, mib: residentMiB(part.pid), descriptors });
      } catch {
        // killed in between
      }
    }
  }

  /**
   * The longest life of each kind of process in three thirds after its warm-up: the medians of memory and descriptors,
   * and the slope of the memory. @returns one row a kind, with whether it grew
   */
  summary() {
    return ['api', 'worker', 'redis'].flatMap((kind) => {
      const lives = new Map();
      for (const sample of this.samples) {
        if (sample.kind !== kind) continue;
        const key = `${sample.part} ${sample.life}`;
        lives.set(key, [...(lives.get(key) ?? []), sample]);
      }
      const longest = [...lives.values()].sort((a, b) => b.at(-1).age - a.at(-1).age)[0];
      if (!longest) return [];
      const { age, part } = longest.at(-1);
      const warm = longest.filter((sample) => sample.age >= age * WARM_UP);
      const thirds = Array.from({ length: MOST_PARTS }, (_, i) =>
        warm.slice((i * warm.length) / MOST_PARTS, ((i + 1) * warm.length) / MOST_PARTS),
      );
      const of = (key) => thirds.map((third) => median(third.map((sample) => sample[key])));
      const [mib, descriptors] = [of('mib'), of('descriptors')];
      // Connections to receivers stay open for half a minute: descriptors follow the load, and a leak exceeds both.
      const before = Math.max(descriptors[0], descriptors[1]) * MOST_GROWTH.share + MOST_GROWTH.descriptors;
      const grew = mib[2] > mib[1] * MOST_GROWTH.share || descriptors[2] > before;
      const peak = Math.max(...this.samples.filter((sample) => sample.kind === kind).map((sample) => sample.mib));
      return [
        {
          kind,
          part,
          age,
          lives: lives.size,
          mib,
          descriptors,
          peak,
          slope: slopeOf(warm),
          grew: warm.length >= 30 && grew,
        },
      ];
    });
  }
}

/** MiB an hour, by least squares. */
function slopeOf(samples) {
  const mean = (key) => samples.reduce((sum, sample) => sum + sample[key], 0) / samples.length;
  const [age, mib] = [mean('age'), mean('mib')];
  const [up, across] = samples.reduce(
    ([u, a], sample) => [u + (sample.age - age) * (sample.mib - mib), a + (sample.age - age) ** 2],
    [0, 0],
  );
  return across === 0 ? 0 : (up / across) * 3600;
}
