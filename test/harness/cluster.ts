import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../src/platform/database/embedded-postgres';

/** A PostgreSQL server of a suite's own, which it may stop, start again, and whose roles it may change. */
export class TestCluster {
  private readonly dataDir = mkdtempSync(join(tmpdir(), 'orders-test-cluster-'));
  private server?: EmbeddedPostgres;

  static async start(): Promise<TestCluster> {
    const cluster = new TestCluster();
    await cluster.start();
    return cluster;
  }

  /** Starts it, on another port than before. */
  async start(): Promise<void> {
    this.server = await startEmbeddedPostgres({
      dataDir: this.dataDir,
      settings: { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: '60' },
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
