import { transformFileSync } from '@swc/core';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { platform, tmpdir } from 'node:os';
import { basename, join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { Client, type QueryResultRow } from 'pg';
import { startEmbeddedPostgres, type EmbeddedPostgres, type EmbeddedPostgresOptions } from './embedded-postgres';
import { isPostmasterOf, processStamp } from './embedded-postgres-process';

const USER = 1000;
const isLinux = platform() === 'linux';
const setprivToUser = [`--reuid=${USER}`, `--regid=${USER}`, '--clear-groups'];
const boundToNode = isLinux && spawnSync('setpriv', ['--pdeathsig', 'keep', 'true']).status === 0;
const isRoot = process.getuid?.() === 0;
const canBecomeUser = isRoot && spawnSync('setpriv', [...setprivToUser, 'test', '-r', __filename]).status === 0;

/** Every data folder is below it, so that all of them have a space in their path. */
const base = realpathSync(mkdtempSync(join(tmpdir(), 'embedded postgres ')));
/** Another Node process runs the same code from here, compiled. */
const compiled = join(process.cwd(), 'node_modules', '.cache', basename(base).replaceAll(' ', '-'));
const children: ChildProcess[] = [];
const started: EmbeddedPostgres[] = [];

beforeAll(() => {
  chmodSync(base, 0o755);
  mkdirSync(compiled, { recursive: true });
  const sources = readdirSync(__dirname).filter((name) => /^embedded-postgres[a-z-]*\.ts$/.test(name));
  for (const name of sources) {
    writeFileSync(join(compiled, name.replace('.ts', '.js')), transformFileSync(join(__dirname, name)).code);
  }
  writeFileSync(
    join(compiled, 'child.js'),
    `const { startEmbeddedPostgres } = require('./embedded-postgres');
     startEmbeddedPostgres({ dataDir: process.argv[2] }).then(
       (postgres) => {
         console.log(JSON.stringify({ url: postgres.url('postgres'), firstStart: postgres.firstStart }));
         process.stdin.on('data', () => postgres.stop().then(() => process.exit(0)));
       },
       (error) => { console.log(JSON.stringify({ error: error.message })); process.exit(1); },
     );`,
  );
});

afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  for (const postgres of started.splice(0)) await postgres.stop();
});

afterAll(async () => {
  await until(() => postmasters().length === 0, 'every server of these tests to end');
  rmSync(base, { recursive: true });
  rmSync(compiled, { recursive: true });
});

async function until(condition: () => boolean, what: string): Promise<void> {
  for (const deadline = Date.now() + 15_000; !condition(); await delay(20)) {
    if (Date.now() > deadline) throw new Error(`Waited in vain for ${what}`);
  }
}

/** Command lines of the processes, servers or initdb, that work on a folder of these tests. */
function postmasters(): string[] {
  const { stdout } = spawnSync('ps', ['-A', '-o', 'pid=', '-o', 'command='], { encoding: 'utf8' });
  return stdout.split('\n').filter((line) => line.includes(`-D ${base}`));
}

function postmasterPid(dataDir: string): number {
  return Number.parseInt(readFileSync(join(dataDir, 'postgres', 'postmaster.pid'), 'utf8'), 10);
}

async function query<Row extends QueryResultRow>(url: string, text: string): Promise<Row[]> {
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<Row>(text)).rows;
  } finally {
    await client.end();
  }
}

/** Runs a start in a Node process of its own, with an almost empty environment: no LANG, no HOME. */
function spawnStart(dataDir: string, { path = process.env['PATH'], asUser = false } = {}): ChildProcess {
  const node = [process.execPath, join(compiled, 'child.js'), dataDir];
  const [command = '', ...args] = asUser ? ['setpriv', ...setprivToUser, ...node] : node;
  const child = spawn(command, args, { env: { PATH: path }, stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  return child;
}

async function readMessage(child: ChildProcess): Promise<{ url?: string; firstStart?: boolean; error?: string }> {
  if (!child.stdout) throw new Error('The child has no output');
  for await (const line of createInterface(child.stdout)) return JSON.parse(line) as { url?: string };
  throw new Error('The child ended without an answer');
}

async function startInChild(dataDir: string, options?: { path?: string; asUser?: boolean }) {
  const child = spawnStart(dataDir, options);
  const { url, error, firstStart } = await readMessage(child);
  if (url === undefined) throw new Error(`the child did not start PostgreSQL: ${error}`);
  return { child, url, firstStart };
}

async function kill9(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  await until(() => child.signalCode !== null, 'the child to be killed');
}

/** Stopped by the end of the test, whatever its result. */
async function start(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const postgres = await startEmbeddedPostgres(options);
  started.push(postgres);
  return postgres;
}

async function startRefused(dataDir: string, settings?: Record<string, string>): Promise<string> {
  return start({ dataDir, settings }).then(
    () => 'started',
    (error: Error) => error.message,
  );
}

describe('startEmbeddedPostgres', () => {
  const dataDir = join(base, 'data');

  it('makes a cluster at the first start, with progress, and finds it at the second', async () => {
    const lines: string[] = [];
    const options = { dataDir: relative(process.cwd(), dataDir), onProgress: (line: string) => lines.push(line) };
    const first = await start({ ...options, settings: { jit: 'on', work_mem: '5MB' } });
    expect(first).toMatchObject({ firstStart: true, version: expect.stringMatching(/^18\./) as string });
    expect(lines).toHaveLength(2);

    const settings = await query<{ name: string; setting: string }>(
      first.url('postgres'),
      `select name, setting from pg_settings where name in ('fsync', 'jit', 'work_mem', 'listen_addresses', 'server_encoding',
         'unix_socket_directories', 'TimeZone', 'password_encryption')`,
    );
    expect(Object.fromEntries(settings.map(({ name, setting }) => [name, setting]))).toEqual({
      fsync: 'on',
      jit: 'on',
      listen_addresses: '127.0.0.1',
      password_encryption: 'scram-sha-256',
      server_encoding: 'UTF8',
      TimeZone: 'UTC',
      unix_socket_directories: '',
      work_mem: '5120',
    });
    const [locale] = await query(first.url('postgres'), `select datlocprovider, datlocale from pg_database limit 1`);
    expect(locale).toEqual({ datlocprovider: 'b', datlocale: 'C.UTF-8' });
    await query(first.url('postgres'), `create table kept as select 'Käse' as word`);
    await first.stop();

    const second = await start(options);
    expect(second.firstStart).toBe(false);
    expect(lines).toHaveLength(2);
    expect(await query(second.url('postgres'), `select word from kept`)).toEqual([{ word: 'Käse' }]);
    await second.stop();
  });

  it('wants the password, which only its owner can read', async () => {
    const passwordFile = join(dataDir, 'postgres-password');
    if (platform() !== 'win32') expect(statSync(passwordFile).mode & 0o777).toBe(0o600);
    expect(readFileSync(passwordFile, 'utf8')).toMatch(/^[\w-]{43}$/);
    const postgres = await start({ dataDir });
    const wrong = postgres.url('postgres').replace(/:[^:@]+@/, ':wrong@');
    await expect(query(wrong, 'select 1')).rejects.toMatchObject({ code: '28P01' });
    await postgres.stop();
  });

  it('stops once, also after several calls, and leaves no process and no lock', async () => {
    const postgres = await start({ dataDir });
    await Promise.all([postgres.stop(), postgres.stop()]);
    await postgres.stop();
    expect(postmasters()).toEqual([]);
    expect(readdirSync(dataDir).sort()).toEqual(['postgres', 'postgres-password', 'postgres.log']);
  });

  it('refuses a data folder that is in use, by this process or another, and lets two folders run side by side', async () => {
    const postgres = await start({ dataDir });
    const refusal = `${dataDir} is in use by process ${process.pid}; choose another DATA_DIR, or stop that process.`;
    expect(await startRefused(dataDir)).toBe(refusal);
    expect(await readMessage(spawnStart(dataDir))).toEqual({ error: refusal });
    expect(await query(postgres.url('postgres'), 'select 1 as one')).toEqual([{ one: 1 }]);

    const beside = await startInChild(join(base, 'beside'));
    expect(await query(beside.url, 'select 1 as one')).toEqual([{ one: 1 }]);
    beside.child.stdin?.write('stop');
    await until(() => beside.child.exitCode === 0, 'the other process to stop');
    await postgres.stop();
  });

  it('lets one of several processes win that start at once over a stale lock', async () => {
    const { child } = await startInChild(dataDir);
    await kill9(child);
    const responses = await Promise.all([1, 2, 3, 4].map(() => readMessage(spawnStart(dataDir))));
    expect(responses.filter(({ url }) => url)).toHaveLength(1);
    expect(responses.filter(({ error }) => error?.includes('is in use by process'))).toHaveLength(3);
    for (const starter of children) starter.kill('SIGKILL');
    await until(() => postmasters().length === 0, 'the winner’s server to end');
  });

  it('reports why the server did not start, and starts afterwards', async () => {
    const message = await startRefused(dataDir, { no_such_setting: '1' });
    expect(message).toMatch(/did not start \(exit code 1\)[^]*unrecognized configuration parameter "no_such_setting"/);
    const postgres = await start({ dataDir });
    await postgres.stop();
  });

  it('reports it when the stored password is not the cluster’s', async () => {
    const passwordFile = join(dataDir, 'postgres-password');
    const password = readFileSync(passwordFile, 'utf8');
    writeFileSync(passwordFile, 'wrong');
    expect(await startRefused(dataDir)).toMatch(/does not accept the password in the data folder/);
    rmSync(passwordFile);
    expect(await startRefused(dataDir)).toMatch(/postgres-password is missing/);
    writeFileSync(passwordFile, password, { mode: 0o600 });
  });

  it('reports a server that ends by itself, and recovers at the next start', async () => {
    const reports: Error[] = [];
    const postgres = await start({ dataDir, onExit: (error) => reports.push(error) });
    process.kill(postmasterPid(dataDir), 'SIGKILL');
    await until(() => reports.length > 0, 'the report');
    expect(reports.map(String)).toEqual([expect.stringMatching(/ended by itself \(SIGKILL\)[^]*ready to accept/)]);
    await postgres.stop();
    const again = await start({ dataDir });
    await again.stop();
  });

  it('empties its log at the start when that has grown large', async () => {
    const log = join(dataDir, 'postgres.log');
    truncateSync(log, 11 * 1024 * 1024);
    const postgres = await start({ dataDir });
    expect(statSync(log).size).toBeLessThan(100_000);
    await postgres.stop();
  });
});

describe('startEmbeddedPostgres after kill -9', () => {
  const dataDir = join(base, 'killed');

  it('leaves no half-made cluster when killed while making one', async () => {
    const child = spawnStart(dataDir);
    await until(
      () =>
        existsSync(dataDir) &&
        readdirSync(dataDir, { recursive: true }).some((name) => /PG_VERSION$/.test(String(name))),
      'initdb to be at work',
    );
    await kill9(child);
    expect(readdirSync(dataDir)).not.toContain('postgres');
    const postgres = await start({ dataDir });
    expect(postgres.firstStart).toBe(true);
    await query(postgres.url('postgres'), 'create table rows (id int)');
    await postgres.stop();
    expect(readdirSync(dataDir).sort()).toEqual(['postgres', 'postgres-password', 'postgres.log']);
  });

  (boundToNode ? it : it.skip)('ends the server with Node and keeps committed data', async () => {
    const { child, url } = await startInChild(dataDir);
    await query(url, 'insert into rows values (1)');
    const pid = postmasterPid(dataDir);
    await kill9(child);
    await until(() => processStamp(pid) === undefined, 'the server to end with Node');
    await expectRows(1);
  });

  it('starts at once after the kill, whether or not the server has ended', async () => {
    const { child, url } = await startInChild(dataDir);
    await query(url, 'insert into rows values (2)');
    await kill9(child);
    await expectRows(2);
  });

  it('recovers when the server was killed as well', async () => {
    const { child, url } = await startInChild(dataDir);
    await query(url, 'insert into rows values (3)');
    process.kill(postmasterPid(dataDir), 'SIGKILL');
    await kill9(child);
    await expectRows(3);
  });

  (isLinux ? it : it.skip)('ends an orphan where the system could not end it with Node', async () => {
    // Without setpriv on its path, it starts the server as on other systems.
    const { child, url } = await startInChild(dataDir, { path: '/nowhere' });
    await query(url, 'insert into rows values (4)');
    await kill9(child);
    const orphan = postmasterPid(dataDir);
    expect(isPostmasterOf(orphan, join(dataDir, 'postgres'))).toBe(true);
    await expectRows(4);
    expect(isPostmasterOf(orphan, join(dataDir, 'postgres'))).toBe(false);
  });

  it('is not stopped by a pid file whose number another process has now', async () => {
    const pidFile = join(dataDir, 'postgres', 'postmaster.pid');
    const stranger = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], {
      stdio: 'ignore',
      ...(isRoot && { uid: 65534, gid: 65534 }),
    });
    children.push(stranger);
    writeFileSync(pidFile, `${stranger.pid}\n${dataDir}/postgres\n`);
    await expectRows(4);
    expect(stranger.signalCode).toBeNull();
  });

  async function expectRows(count: number): Promise<void> {
    const postgres = await start({ dataDir });
    expect(postgres.firstStart).toBe(false);
    expect(await query(postgres.url('postgres'), 'select count(*)::int from rows')).toEqual([{ count }]);
    await postgres.stop();
  }
});

describe('startEmbeddedPostgres and users', () => {
  const ownerOf = (pid: number): number => statSync(`/proc/${pid}`).uid;

  (isRoot && boundToNode ? it : it.skip)(
    'runs as the user nobody for root, even below a folder that only root can enter',
    async () => {
      const closed = join(base, 'closed');
      mkdirSync(closed, { mode: 0o700 });
      const dataDir = join(closed, 'data');
      const { child, url } = await startInChild(dataDir);
      const pid = postmasterPid(dataDir);
      expect(ownerOf(pid)).toBe(65534);
      await query(url, 'create table kept as select 1 as one');
      await kill9(child);
      await until(() => processStamp(pid) === undefined, 'the server to end with Node');
      const postgres = await start({ dataDir });
      expect(await query(postgres.url('postgres'), 'select one from kept')).toEqual([{ one: 1 }]);
      await postgres.stop();
    },
  );

  (canBecomeUser ? it : it.skip)(
    'runs as an ordinary user, whose cluster root can start without taking it over',
    async () => {
      const home = join(base, 'home');
      mkdirSync(home);
      chownSync(home, USER, USER);
      const dataDir = join(home, 'data');
      const { child, firstStart } = await startInChild(dataDir, { asUser: true });
      expect(firstStart).toBe(true);
      const pid = postmasterPid(dataDir);
      expect(ownerOf(pid)).toBe(USER);
      await kill9(child);
      await until(() => processStamp(pid) === undefined, 'the server to end with Node');

      const asRoot = await start({ dataDir });
      expect(ownerOf(postmasterPid(dataDir))).toBe(USER);
      await asRoot.stop();
      const asUser = await startInChild(dataDir, { asUser: true });
      expect(asUser.firstStart).toBe(false);
      await kill9(asUser.child);
    },
  );

  (canBecomeUser ? it : it.skip)('refuses the folder of another user with a clear message', async () => {
    const response = await readMessage(spawnStart(join(base, 'data'), { asUser: true }));
    expect(response).toEqual({
      error: `${join(base, 'data')} cannot be written by this user; choose another DATA_DIR.`,
    });
  });
});
