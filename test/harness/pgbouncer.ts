import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { until } from './until';

const NOBODY = 65534;
const DEPLOYED = join(__dirname, '..', '..', 'deploy', 'pgbouncer', 'pgbouncer.ini');
const PATHS = ['pgbouncer', '/usr/sbin/pgbouncer', '/usr/local/bin/pgbouncer', '/opt/homebrew/bin/pgbouncer'];

/** The program and its version, or undefined if it is not installed. */
export function findPgBouncer(): { program: string; version: string } | undefined {
  for (const program of PATHS) {
    const { status, stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' });
    if (status === 0) return { program, version: /PgBouncer ([\d.]+)/i.exec(stdout)?.[1] ?? '' };
  }
  return undefined;
}

/** A PgBouncer in transaction mode between the service and its database, with a few server connections. */
export class PgBouncer {
  private child?: ChildProcess;

  private constructor(
    private readonly program: string,
    private readonly folder: string,
    /** The database's URL, through the pooler. */
    readonly url: string,
    /** The pooler's own console. */
    private readonly console: string,
  ) {}

  /** Starts one in front of the database at `url`, whose login it also uses. */
  static async start(program: string, url: string, serverConnections: number): Promise<PgBouncer> {
    const { hostname, port, username, password, pathname } = new URL(url);
    const folder = mkdtempSync(join(tmpdir(), 'orders-test-pgbouncer-'));
    const listenPort = await freePort();
    const users = join(folder, 'users.txt');
    const ini = join(folder, 'pgbouncer.ini');
    writeFileSync(users, `"${username}" "${decodeURIComponent(password)}"\n`);
    // The file of deploy/, adapted to this machine. It has no ignore_startup_parameters: the service must send none
    // that a pooler refuses.
    writeFileSync(
      ini,
      configured(readFileSync(DEPLOYED, 'utf8'), pathname.slice(1), {
        orders: `host=${hostname} port=${port}`,
        listen_addr: '127.0.0.1',
        listen_port: String(listenPort),
        auth_file: users,
        default_pool_size: String(serverConnections),
      }) + `admin_users = ${username}\nlogfile = ${join(folder, 'pgbouncer.log')}\n`,
    );
    // It refuses to run as root.
    const asRoot = process.getuid?.() === 0;
    chmodSync(folder, 0o700);
    if (asRoot) for (const path of [folder, users, ini]) chownSync(path, NOBODY, NOBODY);
    const through = new URL(url);
    through.hostname = '127.0.0.1';
    through.port = String(listenPort);
    const admin = new URL(through.href);
    admin.pathname = '/pgbouncer';
    const bouncer = new PgBouncer(program, folder, through.href, admin.href);
    await bouncer.begin();
    return bouncer;
  }

  /** Starts it, after {@link end} once more on the same port. */
  async begin(): Promise<void> {
    const asRoot = process.getuid?.() === 0;
    const child = spawn(this.program, [join(this.folder, 'pgbouncer.ini')], {
      stdio: 'ignore',
      ...(asRoot ? { uid: NOBODY, gid: NOBODY } : {}),
    });
    this.child = child;
    await until('PgBouncer answers', async () => {
      if (child.exitCode !== null) throw new Error(`PgBouncer ended: ${this.log()}`);
      return this.show('version').then(
        () => true,
        () => false,
      );
    });
  }

  /** A table of its console, such as `servers`. */
  async show(what: string): Promise<Record<string, unknown>[]> {
    const client = new Client({ connectionString: this.console });
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(`show ${what}`)).rows;
    } finally {
      await client.end();
    }
  }

  log(): string {
    try {
      return readFileSync(join(this.folder, 'pgbouncer.log'), 'utf8');
    } catch {
      return '';
    }
  }

  /** Ends it immediately, as a crash would. */
  async end(): Promise<void> {
    const child = this.child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  async stop(): Promise<void> {
    await this.end();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The configuration with other values for these settings, each of which it has, and another name for the database. */
function configured(ini: string, database: string, settings: Record<string, string>): string {
  let text = ini;
  for (const [name, value] of Object.entries(settings)) {
    const line = new RegExp(`^${name} = .*$`, 'm');
    if (!line.test(text)) throw new Error(`deploy/pgbouncer/pgbouncer.ini does not set ${name}`);
    text = text.replace(line, `${name === 'orders' ? database : name} = ${value}`);
  }
  return text;
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
