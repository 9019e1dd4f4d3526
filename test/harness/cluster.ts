import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../src/dev/embedded-postgres/embedded-postgres';

/** A PostgreSQL server of a suite's own, which it may stop, start again, and whose roles it may change. */
export class TestCluster {
  private readonly dataDir = mkdtempSync(join(tmpdir(), 'orders-test-cluster-'));
  private server?: EmbeddedPostgres;

  private constructor(private readonly settings: Record<string, string>) {}

  /** @param settings of the server, over those of tests: data that need not survive a power cut */
  static async start(settings: Record<string, string> = {}): Promise<TestCluster> {
    const cluster = new TestCluster(settings);
    await cluster.start();
    return cluster;
  }

  /** Restarts this server and returns a streaming replica: a copy of its files that follows its log. */
  async replica(): Promise<TestCluster> {
    await this.stop();
    const conninfo = (): string => {
      const { port, username, password } = new URL(this.url('postgres'));
      return `host=127.0.0.1 port=${port} user=${username} password=${password}`;
    };
    const replica = new TestCluster({ ...this.settings });
    for (const name of ['postgres', 'postgres-password']) {
      cpSync(join(this.dataDir, name), join(replica.dataDir, name), { recursive: true });
    }
    writeFileSync(join(replica.dataDir, 'postgres', 'standby.signal'), '');
    await this.start();
    replica.settings.primary_conninfo = conninfo();
    await replica.start();
    return replica;
  }

  /** Starts it, on another port than before. */
  async start(): Promise<void> {
    this.server = await startEmbeddedPostgres({
      dataDir: this.dataDir,
      settings: {
        ...{ fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: '60' },
        ...this.settings,
      },
    });
  }

  get port(): number {
    return (this.server as EmbeddedPostgres).port;
  }

  /** A superuser's. */
  url(database: string): string {
    return (this.server as EmbeddedPostgres).url(database);
  }

  /** Runs SQL as a superuser. */
  async sql<R extends Record<string, unknown>>(database: string, text: string): Promise<R[]> {
    const client = new Client({ connectionString: this.url(database) });
    await client.connect();
    try {
      return (await client.query<R>(text)).rows;
    } finally {
      await client.end();
    }
  }

  async stop(): Promise<void> {
    await this.server?.stop();
    this.server = undefined;
  }

  /** Stops it and removes its data. */
  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.dataDir, { recursive: true, force: true });
  }
}
