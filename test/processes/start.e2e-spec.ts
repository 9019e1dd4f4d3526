import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createTestDatabase } from '../harness/databases';
import { until } from '../harness/until';

const ROOT = join(__dirname, '..', '..');
const TIMEOUT_MS = 60_000;
const run = promisify(execFile);

/** The environment of a person's shell, without the variables of npm and jest. */
function inherited(): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(npm_|PORT|HOST|DATABASE_URL|NODE_ENV|JEST)/.test(name)),
  );
}

/** A shell's variables for other servers: the embedded one is still reached. */
const OTHER_SERVERS = {
  PGSSLMODE: 'require',
  PGOPTIONS: '-c search_path=elsewhere',
  PGSERVICE: 'elsewhere',
  PGTARGETSESSIONATTRS: 'standby',
  PGHOST: 'db.example.com',
};

/** A process started as by a person, with all of its output. */
class Started {
  output = '';
  readonly child: ChildProcess;
  readonly exit: Promise<number | string>;

  constructor(command: string, args: string[], env: Record<string, string>) {
    this.child = spawn(command, args, {
      cwd: ROOT,
      env: { ...inherited(), PORT: '0', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true, // a process group of its own, as a terminal gives it one
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    }
    this.exit = once(this.child, 'close').then(([code, signal]) => (code ?? signal) as number | string);
  }

  /** Waits for the welcome; gives the address in it. */
  async ready(): Promise<string> {
    await Promise.race([
      until('the welcome', () => this.output.includes('Ctrl-C stops it'), TIMEOUT_MS),
      this.exit.then((code) => Promise.reject(new Error(`ended with ${code}:\n${this.output}`))),
    ]);
    return /Ready at (\S+)/.exec(this.output)?.[1] as string;
  }

  /** To the whole group, as a terminal does at Ctrl-C. */
  signalGroup(signal: NodeJS.Signals): void {
    process.kill(-(this.child.pid as number), signal);
  }
}

/** An unreaped zombie counts as ended. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

describe('npm start', () => {
  const folder = mkdtempSync(join(tmpdir(), 'orders-start-'));
  const dataDir = join(folder, 'data');
  const started: Started[] = [];

  function start(env: Record<string, string> = {}): Started {
    const process = new Started('node', ['scripts/start.mjs'], { DATA_DIR: dataDir, ...env });
    started.push(process);
    return process;
  }

  function postmaster(): number {
    return Number(readFileSync(join(dataDir, 'postgres', 'postmaster.pid'), 'utf8').split('\n')[0]);
  }

  afterAll(async () => {
    for (const process of started) {
      try {
        process.signalGroup('SIGKILL');
      } catch {
        // it has ended
      }
    }
    await Promise.all(started.map((process) => process.exit));
    rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
  });

  it('makes everything at the first start, and stops in order at Ctrl-C', async () => {
    const first = start(OTHER_SERVERS);
    const url = await first.ready();
    expect(first.output).toMatch(/Making the database in .*\nMade the database in .*\nApplied \d+ migrations\n/);
    expect(first.output).toContain('Making a demo tenant with 36 orders');
    expect(first.output).not.toContain('"msg":"metrics"');

    const [curl] = /curl [^]*?}'$/m.exec(first.output) ?? [];
    const { stdout } = await run('bash', ['-c', curl as string]);
    const token = (JSON.parse(stdout) as { access_token: string }).access_token;
    const orders = await fetch(`${url}/api/v1/orders?limit=100`, { headers: { authorization: `Bearer ${token}` } });
    expect(((await orders.json()) as { data: unknown[] }).data).toHaveLength(36);

    // The operator's commands and migrate find the running database.
    const admin = ['run', '-s', 'admin', '--', 'tenants', 'list', '--json'];
    const env = { ...inherited(), ...OTHER_SERVERS, DATA_DIR: dataDir };
    const listed = await run('npm', admin, { cwd: ROOT, env });
    expect(JSON.parse(listed.stdout)).toMatchObject({ data: [{ name: 'Demo Ltd' }] });
    const verified = await run('npm', ['run', '-s', 'migrate', '--', 'verify'], { cwd: ROOT, env });
    expect(verified.stdout).toBe('the database is at the schema of this build\n');

    for (const secret of ['jwt-secret', 'service-password', 'demo-password', 'postgres-password']) {
      expect([secret, statSync(join(dataDir, secret)).mode & 0o777]).toEqual([secret, 0o600]);
    }

    const second = start();
    expect(await second.exit).toBe(1);
    expect(second.output).toMatch(/^.* is in use by process \d+; choose another DATA_DIR, or stop that process\.$/m);

    const pid = postmaster();
    first.signalGroup('SIGINT');
    expect(await first.exit).toBe(0);
    expect(first.output).toMatch(/SIGINT: finishing requests in flight\n[^]*Stopped\.\n$/);
    expect(first.output).not.toMatch(/^ {4}at /m);
    expect(isAlive(pid)).toBe(false);
  });

  it('survives kill -9, finds everything as it was, and ends with npm', async () => {
    const killed = start();
    await killed.ready();
    expect(killed.output).not.toMatch(/Compiling|Making|Applied/);
    const pid = postmaster();
    killed.child.kill('SIGKILL');
    await killed.exit;
    // Elsewhere the next start ends it.
    if (process.platform === 'linux') await until('the end of PostgreSQL', () => !isAlive(pid));

    const again = new Started('npm', ['start'], { DATA_DIR: dataDir });
    started.push(again);
    await again.ready();
    expect(again.output).not.toMatch(/Making a demo tenant/);
    again.child.kill('SIGTERM');
    await again.exit;
    expect(again.output).toMatch(/Stopped\.\n$/);
    expect(existsSync(join(dataDir, 'postgres', 'postmaster.pid'))).toBe(false);
  });

  it('refuses a port in use before it makes anything', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    const { port } = holder.address() as AddressInfo;
    const refused = start({ PORT: String(port), DATA_DIR: join(folder, 'never-made') });
    expect(await refused.exit).toBe(1);
    expect(refused.output).toBe(
      `configuration: PORT ${port} is in use on 127.0.0.1; stop what uses it, or choose another\n`,
    );
    expect(existsSync(join(folder, 'never-made'))).toBe(false);
    holder.close();
  });

  it('reports every fault of the configuration in a line of its own', async () => {
    const refused = start({ PORT: 'abc', LOG_LEVEL: 'loud', DATABASE_URL: 'mysql://somewhere' });
    expect(await refused.exit).toBe(1);
    expect(refused.output.split('\n')).toEqual([
      'configuration: PORT must be a whole number from 0 to 65535',
      expect.stringMatching(/^configuration: DATABASE_URL /),
      expect.stringMatching(/^configuration: LOG_LEVEL /),
      '',
    ]);
  });

  it('names the secret whose file is empty, and does not advise to remove it', async () => {
    const lost = join(folder, 'lost');
    mkdirSync(lost);
    writeFileSync(join(lost, 'jwt-secret'), '');
    const database = await createTestDatabase();
    const refused = start({ DATA_DIR: lost, DATABASE_URL: database.serviceUrl });
    expect(await refused.exit).toBe(1);
    expect(refused.output).toBe(`JWT_SECRET: ${join(lost, 'jwt-secret')} is empty; restore it from a backup\n`);
    await database.drop();
  });

  it('uses the database of DATABASE_URL, here from a file, and puts no demo into it', async () => {
    const database = await createTestDatabase();
    const file = join(folder, 'database-url');
    writeFileSync(file, `${database.serviceUrl}\n`);
    const given = start({
      DATA_DIR: join(folder, 'given'),
      DATABASE_URL_FILE: file,
      MIGRATION_DATABASE_URL: database.ownerUrl,
      METRICS_PORT: '0',
    });
    const url = await given.ready();
    const port = await until('the metrics’ port', () => /"port":(\d+),[^\n]*"msg":"metrics"/.exec(given.output)?.[1]);
    const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    for (const name of ['http_requests_in_flight', 'outbox_lag_seconds']) expect(metrics).toContain(`# TYPE ${name} `);
    expect(given.output).not.toMatch(/demo|Making/);
    expect((await fetch(`${url}/health/ready`)).status).toBe(200);
    expect(readdirSync(join(folder, 'given'))).toEqual(['jwt-secret']);
    expect(await database.sql('select * from users')).toEqual([]);
    given.child.kill('SIGTERM');
    expect(await given.exit).toBe(0);
    await database.drop();
  });

  it('reports in one line that the database is unavailable', async () => {
    const refused = start({ DATA_DIR: join(folder, 'given'), DATABASE_URL: 'postgres://nobody@127.0.0.1:1/nothing' });
    expect(await refused.exit).toBe(1);
    expect(refused.output).toMatch(/^DATABASE_URL: cannot reach 127\.0\.0\.1:1 \(.*ECONNREFUSED.*\)\n$/);
  });
});
