import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './redis';
import { until } from './until';

/** Whether there is a Prometheus to start. CI has one, and must. */
export function hasPrometheus(): boolean {
  const found = spawnSync('prometheus', ['--version']).status === 0;
  if (!found && process.env.CI) throw new Error('prometheus is missing: .ci/run installs it');
  if (!found)
    process.stderr.write('\n*** prometheus is not installed: the dashboard on a live service is SKIPPED ***\n\n');
  return found;
}

/** One series that a query gave: its labels, and its newest value. */
export interface Series {
  metric: Record<string, string>;
  value: number;
}

/** A real Prometheus of a test's own, on loopback. */
export class PrometheusServer {
  private constructor(
    private readonly child: ChildProcess,
    private readonly folder: string,
    private readonly url: string,
  ) {}

  /** @param config Prometheus's own, as an object; paths in it are absolute */
  static async start(config: object): Promise<PrometheusServer> {
    const folder = mkdtempSync(join(tmpdir(), 'orders-test-prometheus-'));
    const port = await freePort();
    // JSON is YAML.
    writeFileSync(join(folder, 'prometheus.yml'), JSON.stringify(config));
    const child = spawn(
      'prometheus',
      [
        `--config.file=${join(folder, 'prometheus.yml')}`,
        `--storage.tsdb.path=${join(folder, 'data')}`,
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    let said = '';
    child.stderr?.on('data', (data: Buffer) => (said = (said + data.toString()).slice(-4_000)));
    const server = new PrometheusServer(child, folder, `http://127.0.0.1:${port}`);
    await until(
      'Prometheus is ready',
      async () => {
        if (child.exitCode !== null) throw new Error(`Prometheus ended: ${said}`);
        return fetch(`${server.url}/-/ready`).then(
          ({ ok }) => ok,
          () => false,
        );
      },
      30_000,
    );
    return server;
  }

  /** The current value of an expression. @throws Error with Prometheus' message */
  async query(expression: string): Promise<Series[]> {
    const { result } = await this.get<{ result: { metric: Record<string, string>; value: [number, string] }[] }>(
      `query?query=${encodeURIComponent(expression)}`,
    );
    return result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }));
  }

  /** Every rule with its health and, for an alert, its state. */
  async rules(): Promise<{ name: string; type: string; health: string; state?: string; lastError?: string }[]> {
    const { groups } = await this.get<{ groups: { rules: [] }[] }>('rules');
    return groups.flatMap(({ rules }) => rules);
  }

  /** The names of all metrics that were scraped or recorded. */
  names(): Promise<string[]> {
    return this.get<string[]>('label/__name__/values');
  }

  private async get<T>(path: string): Promise<T> {
    const response = (await (await fetch(`${this.url}/api/v1/${path}`)).json()) as { data: T; error?: string };
    if (response.error !== undefined) throw new Error(`${path}: ${response.error}`);
    return response.data;
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGKILL');
    await ended;
    rmSync(this.folder, { recursive: true, force: true });
  }
}
