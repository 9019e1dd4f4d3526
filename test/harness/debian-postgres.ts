import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import type { Certificate } from './certificates';
import { freePort } from './redis';
import { until } from './until';

const NOBODY = 65534;
const VERSIONS = '/usr/lib/postgresql';

/**
 * The newest PostgreSQL of Debian's packages that the service can use, with its pg_dump and pg_restore, which the
 * embedded one has not. CI has one, and must.
 */
export function findDebianPostgres(): string | undefined {
  const versions = existsSync(VERSIONS)
    ? readdirSync(VERSIONS)
        .map(Number)
        .sort((a, b) => b - a)
    : [];
  const found = versions
    .filter((version) => version >= 15)
    .map((version) => join(VERSIONS, String(version), 'bin'))
    .find((bin) => ['initdb', 'postgres', 'pg_dump', 'pg_restore'].every((name) => existsSync(join(bin, name))));
  if (!found && process.env.CI) throw new Error('postgresql is missing: .ci/run installs it');
  if (!found) process.stderr.write('\n*** postgresql is not installed: the restore drill is SKIPPED ***\n\n');
  return found;
}

/** A server of Debian's PostgreSQL on loopback, for one suite. */
export class DebianPostgres {
  private constructor(
    private readonly child: ChildProcess,
    private readonly folder: string,
    readonly port: number,
    private readonly isSecure: boolean,
  ) {}

  /** @param tls makes the server refuse every connection without TLS */
  static async start(bin: string, tls?: Pick<Certificate, 'certificate' | 'key'>): Promise<DebianPostgres> {
    const folder = mkdtempSync(join(tmpdir(), 'orders-test-debian-postgres-'));
    // It refuses to run as root.
    const user = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
    if (user.uid) chownSync(folder, NOBODY, NOBODY);
    const data = join(folder, 'data');
    const made = spawnSync(
      join(bin, 'initdb'),
      ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-sync'],
      {
        ...user,
        env: { LC_ALL: 'C.UTF-8' },
        encoding: 'utf8',
      },
    );
    if (made.status !== 0) throw new Error(`initdb: ${made.stderr}`);
    const port = await freePort();
    if (tls) secure(data, tls, user.uid);
    const settings = [`port=${port}`, 'listen_addresses=127.0.0.1', 'unix_socket_directories=', 'fsync=off'];
    const child = spawn(join(bin, 'postgres'), ['-D', data, ...settings.flatMap((setting) => ['-c', setting])], {
      ...user,
      stdio: 'ignore',
    });
    const server = new DebianPostgres(child, folder, port, tls !== undefined);
    await until('PostgreSQL answers', () =>
      server.sql('postgres', 'select 1').then(
        () => true,
        () => false,
      ),
    );
    return server;
  }

  /** A superuser's by default. */
  url(database: string, login = 'postgres'): string {
    return `postgres://${login}@127.0.0.1:${this.port}/${database}`;
  }

  async sql<R extends Record<string, unknown>>(database: string, text: string): Promise<R[]> {
    const ssl = this.isSecure && { rejectUnauthorized: false };
    const client = new Client({ connectionString: this.url(database), ssl });
    await client.connect();
    try {
      return (await client.query<R>(text)).rows;
    } finally {
      await client.end();
    }
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGINT');
    await ended;
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Gives the server its certificate; a login without TLS is refused. */
function secure(data: string, { certificate, key }: Pick<Certificate, 'certificate' | 'key'>, uid?: number): void {
  const [keyFile, certificateFile] = [join(data, 'server.key'), join(data, 'server.crt')];
  copyFileSync(key, keyFile);
  copyFileSync(certificate, certificateFile);
  chmodSync(keyFile, 0o600);
  if (uid) for (const file of [keyFile, certificateFile]) chownSync(file, uid, uid);
  writeFileSync(join(data, 'pg_hba.conf'), 'hostssl all all all trust\n');
  writeFileSync(join(data, 'postgresql.auto.conf'), 'ssl = on\n');
}
