import { execFileSync, spawn, spawnSync, type ChildProcess, type StdioOptions } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { platform } from 'node:os';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** The operating-system user of PostgreSQL, if it differs from Node's. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

export interface SpawnOptions {
  /** undefined: as the user that Node runs as */
  account: Account | undefined;
  /** files and folders that the program has to get at */
  reaches: readonly string[];
  stdio: StdioOptions;
  /** in a process group of its own, which a Ctrl-C in the terminal does not reach */
  ownGroup: boolean;
}

/**
 * Starts a program that ends with Node, even at kill -9, if the system supports it: on Linux, through util-linux'
 * setpriv. The kernel sends the signal when the *thread* that started the program ends, so call this on the main
 * thread. A change of the user resets the signal; setpriv sets it afterwards, which is why setpriv and not Node changes
 * the user.
 */
export function spawnBound(file: string, args: readonly string[], options: SpawnOptions): ChildProcess {
  const { account, reaches, stdio, ownGroup } = options;
  // PG* variables of another PostgreSQL would reach this one; LC_ALL keeps its messages in English.
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('PG'));
  const common = {
    stdio,
    detached: ownGroup,
    windowsHide: true,
    env: { ...Object.fromEntries(inherited), LC_ALL: 'C' },
  };
  const blocked = account && [file, ...reaches].find((path) => !isReachable(path, account));
  if (!hasSetpriv()) {
    if (blocked) throw new Error(`PostgreSQL does not run as root, and user ${account.uid} cannot get at ${blocked}.`);
    return spawn(file, args, { ...common, ...account });
  }
  const privileges = ['--pdeathsig', 'INT'];
  if (account) privileges.push(`--reuid=${account.uid}`, `--regid=${account.gid}`, '--clear-groups');
  if (blocked) {
    // Below a folder such as /root (0700), the only privilege of root that is kept is to pass folders' permissions.
    privileges.push(
      '--inh-caps',
      '+dac_override',
      '--ambient-caps',
      '+dac_override',
      '--securebits',
      '+no_setuid_fixup',
    );
  }
  return spawn('setpriv', [...privileges, file, ...args], common);
}

let setpriv: boolean | undefined;

/** Busybox also has a setpriv, but without these options. */
function hasSetpriv(): boolean {
  setpriv ??= platform() === 'linux' && spawnSync('setpriv', ['--pdeathsig', 'keep', 'true']).status === 0;
  return setpriv;
}

/** Whether the permissions of the path and of every folder above it admit the account. */
function isReachable(path: string, account: Account): boolean {
  const { mode, uid, gid } = statSync(path);
  const bit = uid === account.uid ? 0o100 : gid === account.gid ? 0o010 : 0o001;
  const parent = dirname(path);
  return (mode & bit) !== 0 && (parent === path || isReachable(parent, account));
}

/**
 * The identity of a running process, which a later one with the same number does not share; undefined without one. A
 * zombie counts as ended: in a container whose first process reaps none, an orphan stays one forever.
 */
export function processStamp(pid: number): string | undefined {
  try {
    if (platform() === 'linux') {
      const line = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const [state, ...fields] = line.slice(line.lastIndexOf(')') + 2).split(' ');
      return state === 'Z' || state === 'X' ? undefined : `${bootId()}/${fields[18]}`;
    }
    process.kill(pid, 0);
    return platform() === 'win32' ? 'running' : ps(pid, 'lstart');
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' ? ps(pid, 'lstart') : undefined;
  }
}

/** A start time counts from the boot. */
function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}

/** Whether the process is the PostgreSQL server of that cluster, and not a later one with the same number. */
export function isPostmasterOf(pid: number, cluster: string): boolean {
  try {
    if (processStamp(pid) === undefined) return false;
    if (platform() === 'win32') return true;
    if (platform() !== 'linux') return ps(pid, 'command').includes(`-D ${cluster} `);
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(cluster);
  } catch {
    return false; // it ended while we looked
  }
}

function ps(pid: number, column: 'lstart' | 'command'): string {
  return execFileSync('ps', ['-o', `${column}=`, '-p', String(pid)], {
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' },
  }).trim();
}

/** Signals a PostgreSQL server. Windows has no signals; there, pg_ctl stops the server. */
export function signalPostmaster(pid: number, signal: 'SIGINT' | 'SIGQUIT', pgCtl: string): void {
  if (platform() === 'win32') {
    spawnSync(pgCtl, ['kill', signal.slice('SIG'.length), String(pid)], { windowsHide: true });
    return;
  }
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Asks a server to end: first with a fast shutdown, then with an immediate one (the next start then recovers). */
export async function endPostmaster(pid: number, pgCtl: string, hasEnded: () => boolean): Promise<void> {
  for (const signal of ['SIGINT', 'SIGQUIT'] as const) {
    signalPostmaster(pid, signal, pgCtl);
    for (const deadline = performance.now() + 10_000; performance.now() < deadline; await delay(10)) {
      if (hasEnded()) return;
    }
  }
  throw new Error(`The PostgreSQL server (process ${pid}) did not end when told to.`);
}
