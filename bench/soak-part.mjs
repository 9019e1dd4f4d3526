/** One process of the system under the soak: started again whenever it ends, killed and frozen on demand. */
import { closeSync, fstatSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const READY_WITHIN_MS = 120_000;
const PROBE_EVERY_MS = 50;
const RESTART_AFTER_MS = 100;
const STOP_WITHIN_MS = 20_000;

/**
 * One run of the program of a part: its process, when it began and was ready, when and why it ended, and the place of
 * its first line in the log.
 * @typedef {{ pid: number, began: number, readyAt?: number, ended?: number, how?: string, logFrom: number }} Life
 */

/**
 * A part of the system. An ended process is replaced, as an orchestrator would. An end that was no kill of ours, of a
 * process that had been ready, is reported.
 */
export class Part {
  /** @type {Life[]} */
  lives = [];
  /** Until when the part is frozen, milliseconds; see `freeze`. */
  frozenUntil = 0;
  #child;
  #closing = false;
  #wasKilled = false;

  /**
   * @param {{ name: string, kind: string, log: string, launch(out: number): import('node:child_process').ChildProcess,
   * probe(): Promise<boolean>, pause?(): number, onEnded?(part: Part, life: Life): void }} options `launch` starts the
   * program with its output in the file `out`; `pause` is the time from an end to the next start, milliseconds
   */
  constructor(options) {
    this.options = options;
    this.name = options.name;
    this.kind = options.kind;
    this.log = options.log;
  }

  get life() {
    return this.lives.at(-1);
  }

  get pid() {
    return this.life?.pid;
  }

  get isUp() {
    return this.life?.readyAt !== undefined && this.life.ended === undefined;
  }

  get isFrozen() {
    return this.frozenUntil > performance.now();
  }

  /** Starts the process. @throws when it is not ready in time */
  async start() {
    this.#spawn();
    await this.ready();
  }

  /** Waits until the process is ready. @throws when it takes too long */
  async ready(timeoutMs = READY_WITHIN_MS) {
    for (const deadline = performance.now() + timeoutMs; !this.isUp; await sleep(PROBE_EVERY_MS)) {
      if (performance.now() > deadline)
        throw new Error(`${this.name} was not ready in ${timeoutMs} ms; see ${this.log}`);
    }
  }

  /** Ends the process without warning. */
  kill() {
    this.#wasKilled = true;
    process.kill(this.pid, 'SIGKILL');
  }

  /** Ends one of the processes that this one has started. @returns whether there was one */
  killChild(choice) {
    const children = childrenOf(this.pid);
    if (children.length === 0) return false;
    signal(children[choice % children.length], 'SIGKILL');
    return true;
  }

  /** Stops the process and all that it started for so many milliseconds. */
  freeze(milliseconds) {
    const { pid } = this;
    const all = [pid, ...childrenOf(pid)];
    this.frozenUntil = performance.now() + milliseconds;
    for (const each of all) signal(each, 'SIGSTOP');
    setTimeout(() => {
      for (const each of all) signal(each, 'SIGCONT');
    }, milliseconds);
  }

  /** Ends the process for good. */
  async stop(how = 'SIGTERM') {
    this.#closing = true;
    const { life } = this;
    if (!life || life.ended !== undefined) return;
    signal(life.pid, 'SIGCONT');
    signal(life.pid, how);
    for (const deadline = performance.now() + STOP_WITHIN_MS; life.ended === undefined; await sleep(20)) {
      if (performance.now() > deadline) this.#child.kill('SIGKILL');
    }
  }

  /** Ends the process with this one. */
  abandon() {
    this.#closing = true;
    if (this.life && this.life.ended === undefined) signal(this.pid, 'SIGKILL');
  }

  #spawn() {
    if (this.#closing) return;
    const out = openSync(this.log, 'a');
    const logFrom = fstatSync(out).size;
    const child = this.options.launch(out);
    closeSync(out);
    this.#child = child;
    this.#wasKilled = false;
    const life = { pid: child.pid, began: performance.now(), logFrom };
    this.lives.push(life);
    child.once('exit', (code, by) => this.#ended(life, by ?? `exit code ${code}`));
    void this.#untilReady(life);
  }

  async #untilReady(life) {
    for (; life.ended === undefined; await sleep(PROBE_EVERY_MS)) {
      if (!(await this.options.probe().catch(() => false)) || life.ended !== undefined) continue;
      life.readyAt = performance.now();
      return;
    }
  }

  #ended(life, how) {
    life.ended = performance.now();
    life.how = this.#wasKilled ? 'killed' : how;
    if (this.#closing) return;
    if (!this.#wasKilled && life.readyAt !== undefined) this.options.onEnded?.(this, life);
    setTimeout(() => this.#spawn(), this.options.pause?.() ?? RESTART_AFTER_MS);
  }
}

function signal(pid, name) {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

function childrenOf(parent) {
  const children = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      if (Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent) children.push(Number(name));
    } catch {
      // ended in between
    }
  }
  return children;
}
