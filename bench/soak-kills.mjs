/** The kills of the soak: drawn from a seed, so that a run can be repeated with the same choices. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isLeading } from './soak-system.mjs';

/**
 * The possible actions, with their shares in parts. The last worker and the last API process are frozen but never
 * killed, so that their memory and descriptors can be followed over the whole run.
 */
const ACTIONS = {
  'kill worker': 36,
  'kill api': 16,
  'kill postgres': 8,
  'kill backend': 4,
  'kill redis': 12,
  'freeze worker': 9,
  'freeze api': 4,
  'freeze postgres': 3,
  'freeze redis': 4,
};
/** The pause after a step that meets nothing to kill. */
const STEP_MS = 20;
const PARTS = Object.entries(ACTIONS).flatMap(([action, parts]) => Array.from({ length: parts }, () => action));

/** PostgreSQL is left alone until it has been ready for so long: otherwise it would do nothing but recover. */
const DATABASE_REST_MS = 12_000;
/** One kill in so many may meet a worker or an API process that is still starting. */
const KILLED_AT_START = 4;
/** Shorter and longer than a job's lock (4 s); the longest are longer than a leader's silence (15 s). */
const FREEZE_MS = { worker: [500, 8_000], api: [500, 8_000], postgres: [500, 4_000], redis: [500, 4_000] };
const LONG_FREEZE_MS = [16_000, 20_000];

/** A generator of numbers below its argument, the same for the same seed (mulberry32). */
export function pickFrom(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
  return (below) => Math.floor(next() * below);
}

/**
 * The next step of the plan. Each step draws equally often, so that the plan does not depend on what is found running.
 * @returns {{ wait: number, action: string, choice: number, leader: boolean, freeze: number }}
 */
export function nextStep(pick, everyMs) {
  const wait = everyMs * (0.3 + pick(1_400) / 1_000);
  const action = PARTS[pick(PARTS.length)];
  const [choice, leader, length, long] = [pick(1_000), pick(2) === 0, pick(1_000) / 1_000, pick(5) === 0];
  const [from, to] = long && action === 'freeze worker' ? LONG_FREEZE_MS : (FREEZE_MS[action.split(' ')[1]] ?? [0, 0]);
  return { wait, action, choice, leader, freeze: Math.round(from + (to - from) * length) };
}

function isEligible({ action, choice }, target) {
  const { life } = target;
  if (!life || life.ended !== undefined || target.isFrozen) return false;
  if (target.kind === 'postgres') return target.isUp && performance.now() - life.readyAt > DATABASE_REST_MS;
  return target.isUp || (action.startsWith('kill') && choice % KILLED_AT_START === 0);
}

/** Kills and freezes parts of a system. */
export class Killer {
  /** The actions so far. @type {{ at: number, what: string, part: string, milliseconds?: number, led?: boolean }[]} */
  done = [];
  #stopped = false;

  /** @param {Awaited<ReturnType<typeof import('./soak-system.mjs').openSystem>>} system */
  constructor(system, seed, everyMs) {
    this.system = system;
    this.pick = pickFrom(seed);
    this.everyMs = everyMs;
  }

  /** Goes on until `stop`. */
  async run() {
    while (!this.#stopped) {
      await sleep(STEP_MS);
      const step = nextStep(this.pick, this.everyMs);
      const target = this.#targetOf(step);
      if (!target || !isEligible(step, target)) continue;
      await sleep(step.wait);
      if (this.#stopped) return;
      if (isEligible(step, target)) this.#act(step, target);
    }
  }

  stop() {
    this.#stopped = true;
  }

  /** How often each thing was done. */
  get counts() {
    const counts = {};
    for (const { what } of this.done) counts[what] = (counts[what] ?? 0) + 1;
    return counts;
  }

  #targetOf({ action, choice, leader }) {
    const [how, kind] = action.split(' ');
    if (kind === 'postgres' || kind === 'backend') return this.system.postgres;
    if (kind === 'redis') return this.system.redis;
    const all = kind === 'api' ? this.system.apis : this.system.workers;
    const candidates = how === 'kill' ? all.slice(0, -1) : all;
    const leading = kind === 'worker' && leader ? candidates.find((each) => each.isUp && isLeading(each)) : undefined;
    return leading ?? candidates[choice % candidates.length];
  }

  #act({ action, choice, freeze }, target) {
    const entry = { at: performance.timeOrigin + performance.now(), what: action, part: target.name };
    if (target.kind === 'worker') entry.led = isLeading(target);
    if (action.startsWith('freeze')) {
      entry.milliseconds = freeze;
      target.freeze(freeze);
    } else if (action === 'kill backend') {
      if (!target.killChild(choice)) return;
      target.life.readyAt = performance.now(); // it recovers
    } else target.kill();
    this.done.push(entry);
  }
}
