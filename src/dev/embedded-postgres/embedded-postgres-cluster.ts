import { randomBytes } from 'node:crypto';
import { chown, lchown, link, mkdir, mkdtemp, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { endPostmaster, isPostmasterOf, processStamp, spawnBound, type Account } from './embedded-postgres-process';
import type { PostgresBinaries } from './embedded-postgres-binaries';

const NOBODY: Account = { uid: 65534, gid: 65534 };
const INITDB_FOLDER = 'postgres-initdb-';

/** A folder with PostgreSQL's files, ready for a server to be started on. */
export interface Cluster {
  readonly dir: string;
  readonly account: Account | undefined;
  readonly password: string;
  /** whether it was just created */
  readonly isNew: boolean;
}

/**
 * Reserves a data folder for this process. PostgreSQL itself refuses a second server on one cluster; this lock
 * distinguishes a server in use from an orphan, and protects the cluster during its creation. Returns the function that
 * releases the folder.
 */
export async function lockDataDir(dataDir: string): Promise<() => Promise<void>> {
  const path = join(dataDir, 'postgres.lock');
  const draft = `${path}-${process.pid}-${randomBytes(6).toString('hex')}`;
  const stale = `${draft}-stale`;
  await writeFile(draft, JSON.stringify({ pid: process.pid, stamp: processStamp(process.pid) }));
  try {
    // A link appears whole or not at all, and fails if one exists.
    while (!(await succeeds(link(draft, path), 'EEXIST'))) {
      const held = await readFile(path, 'utf8').catch(() => '');
      const owner = parseLock(held);
      if (owner?.stamp && processStamp(owner.pid) === owner.stamp) {
        throw new Error(`${dataDir} is in use by process ${owner.pid}; choose another DATA_DIR, or stop that process.`);
      }
      if (!(await succeeds(rename(path, stale), 'ENOENT'))) continue;
      // Between reading and renaming, another process may have done the same and locked: then it gets its lock back.
      if ((await readFile(stale, 'utf8')) !== held) await succeeds(link(stale, path), 'EEXIST');
      await rm(stale);
    }
  } finally {
    await rm(draft);
  }
  let released: Promise<void> | undefined;
  return () => (released ??= rm(path, { force: true }));
}

function parseLock(text: string): { pid: number; stamp: string } | undefined {
  try {
    return JSON.parse(text) as { pid: number; stamp: string };
  } catch {
    return undefined;
  }
}

async function succeeds(action: Promise<void>, expected: 'EEXIST' | 'ENOENT'): Promise<boolean> {
  try {
    await action;
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === expected) return false;
    throw error;
  }
}

export interface PrepareOptions {
  binaries: PostgresBinaries;
  onProgress: (line: string) => void;
  /** false if the caller gave up durability anyway (`fsync=off`) */
  sync: boolean;
}

/** Creates a missing cluster, and ends the server that a killed Node process has left on it. */
export async function prepareCluster(dataDir: string, options: PrepareOptions): Promise<Cluster> {
  const dir = join(dataDir, 'postgres');
  const account = await chooseAccount(dir);
  const isNew = !(await stat(join(dir, 'PG_VERSION')).catch(() => undefined));
  const password = await readPassword(join(dataDir, 'postgres-password'), isNew);
  for (const name of await readdir(dataDir)) {
    if (name.startsWith(INITDB_FOLDER)) await rm(join(dataDir, name), { recursive: true, force: true, maxRetries: 5 });
  }
  if (isNew) await createCluster(dir, password, account, options);
  else await endOrphan(dir, options);
  return { dir, account, password, isNew };
}

/** PostgreSQL does not run as root. A cluster that another user made stays that user's. */
async function chooseAccount(dir: string): Promise<Account | undefined> {
  const self = process.getuid?.();
  const owner = await stat(dir).catch(() => undefined);
  if (self === undefined || !owner) return self === 0 ? NOBODY : undefined;
  const { uid, gid } = owner;
  if (self !== 0 && uid !== self) {
    throw new Error(`${dir} belongs to user ${uid}: start as that user or as root, or choose another DATA_DIR.`);
  }
  if (self !== 0) return undefined;
  if (uid !== 0) return { uid, gid };
  await lchown(dir, NOBODY.uid, NOBODY.gid);
  for (const name of await readdir(dir, { recursive: true })) await lchown(join(dir, name), NOBODY.uid, NOBODY.gid);
  return NOBODY;
}

async function readPassword(path: string, isNew: boolean): Promise<string> {
  const stored = (await readFile(path, 'utf8').catch(() => '')).trim();
  if (stored !== '') return stored;
  if (!isNew) {
    throw new Error(`${path} is missing, and ${dirname(path)}/postgres cannot be opened without it. Restore it.`);
  }
  const password = randomBytes(32).toString('base64url');
  await writeFile(path, password, { mode: 0o600 });
  return password;
}

/** initdb works in a folder of its own, renamed at the end: a kill on the way leaves no half-made cluster. */
async function createCluster(
  dir: string,
  password: string,
  account: Account | undefined,
  { binaries, onProgress, sync }: PrepareOptions,
): Promise<void> {
  const began = performance.now();
  onProgress(`Making the database in ${dir} (only at the first start, takes a few seconds)`);
  const draft = await mkdtemp(join(dirname(dir), INITDB_FOLDER));
  try {
    const made = join(draft, basename(dir));
    const passwordFile = join(draft, 'password');
    await mkdir(made, { mode: 0o700 });
    await writeFile(passwordFile, password, { mode: 0o600 });
    if (account) for (const path of [draft, made, passwordFile]) await chown(path, account.uid, account.gid);
    const layout = ['--encoding=UTF8', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'];
    const access = ['--username=postgres', `--pwfile=${passwordFile}`, '--auth=scram-sha-256'];
    const args = ['-D', made, ...layout, ...access, '--no-instructions', ...(sync ? [] : ['--no-sync'])];
    await runInitdb(binaries.initdb, args, account, draft);
    await rename(made, dir);
  } finally {
    await rm(draft, { recursive: true, force: true, maxRetries: 5 });
  }
  onProgress(`Made the database in ${((performance.now() - began) / 1000).toFixed(1)} s`);
}

async function runInitdb(file: string, args: string[], account: Account | undefined, draft: string): Promise<void> {
  const options = { account, reaches: [draft], stdio: ['ignore', 'pipe', 'pipe'], ownGroup: false } as const;
  const child = spawnBound(file, args, { ...options, stdio: [...options.stdio] });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(`initdb failed (${signal ?? `exit code ${code}`}):\n${output.trim().slice(-2_000)}`));
    });
  });
}

/** With the lock in hand, a server that still runs here is an orphan: of a Node process that was killed. */
async function endOrphan(dir: string, { binaries, onProgress }: PrepareOptions): Promise<void> {
  const pidFile = join(dir, 'postmaster.pid');
  const pid = Number.parseInt(await readFile(pidFile, 'utf8').catch(() => ''), 10);
  if (Number.isNaN(pid)) return;
  if (isPostmasterOf(pid, dir)) {
    onProgress(`Waiting for the database server that the last run left behind (process ${pid}) to end`);
    await endPostmaster(pid, binaries.pgCtl, () => !isPostmasterOf(pid, dir));
    return;
  }
  // The server would take any process with that number for another server. It is safe to remove: no other process
  // starts one while we hold the lock, and PostgreSQL still checks for shared memory in use.
  await rm(pidFile, { force: true });
}
