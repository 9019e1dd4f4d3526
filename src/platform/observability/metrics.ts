import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';
import { SeriesHistogram } from './histogram';

/** The state of a pool of connections. */
export interface PoolState {
  used: number;
  idle: number;
  /** Requests that wait for a connection. */
  waiting: number;
}

/** A pool, and the server of Citus if it is the pool of one. */
type PoolLabels = Readonly<Record<'pool', string> | Record<'pool' | 'node', string>>;

/** Waits below a millisecond are normal; seconds are an alarm. */
const WAIT_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

/**
 * The metrics of one process for Prometheus: a registry, and metrics that every process has. Features register theirs
 * in `registry`. No label holds a value that a caller chose (a tenant, an address, a path): each has a few known
 * values.
 */
export class Metrics {
  readonly registry = new Registry();
  private readonly pools: { labels: PoolLabels; state: () => PoolState }[] = [];
  private readonly poolWait: SeriesHistogram<string>;
  /** Migrations of this build that the database lacks. */
  readonly pendingMigrations: Gauge;
  /** By how many seconds this process's clock is ahead of the database's. */
  readonly clockAhead: Gauge;
  /** Security events, by action and outcome. */
  readonly securityEvents: Counter<'action' | 'outcome'>;
  private look?: () => Promise<Readonly<Record<string, boolean>>>;

  /** @param role the process, for `app_build_info` */
  constructor(role: string) {
    const registers = [this.registry];
    new Gauge({
      name: 'app_build_info',
      help: 'Always 1; the labels have the version and the process.',
      labelNames: ['version', 'role'],
      registers,
    }).set({ version: buildVersion(), role }, 1);
    this.poolWait = new SeriesHistogram({
      name: 'db_pool_wait_seconds',
      help: 'How long work waited for a database connection in this process.',
      buckets: WAIT_BUCKETS,
      registers,
    });
    this.gaugePools(registers);
    this.pendingMigrations = new Gauge({
      name: 'migrations_pending',
      help: 'Migrations that this build has and the database has not; the process waits for them.',
      registers,
    });
    this.clockAhead = new Gauge({
      name: 'clock_ahead_seconds',
      help: "Seconds by which this process's clock is ahead of the database's; negative when it is behind.",
      registers,
    });
    this.securityEvents = new Counter({
      name: 'security_events_total',
      help: 'Sign-ins, refusals, and changes of people, keys, secrets and the tenant.',
      labelNames: ['action', 'outcome'],
      registers,
    });
    this.gaugeDependencies(registers);
  }

  /** Shows the state of dependencies: `look` is called at each scrape, and bounds its own time. */
  showDependencies(look: () => Promise<Readonly<Record<string, boolean>>>): void {
    this.look = look;
  }

  /**
   * Adds a pool of connections; pools with one name are summed up.
   * @param node the server of Citus of which it is the pool
   * @returns a function that records a wait, in seconds
   */
  addPool(name: string, state: () => PoolState, node?: string): (seconds: number) => void {
    const labels: PoolLabels = node === undefined ? { pool: name } : { pool: name, node };
    this.pools.push({ labels, state });
    return this.poolWait.observer(labels);
  }

  /** Adds metrics that only a scraped process should pay for: event loop, memory, garbage collection. */
  collectProcess(): void {
    collectDefaultMetrics({ register: this.registry });
  }

  private gaugeDependencies(registers: Registry[]): void {
    const look = (): Promise<Readonly<Record<string, boolean>>> => this.look?.() ?? Promise.resolve({});
    new Gauge({
      name: 'dependency_up',
      help: 'Whether the process can use a dependency: 1, or 0.',
      labelNames: ['dependency'],
      registers,
      async collect() {
        for (const [dependency, up] of Object.entries(await look())) this.set({ dependency }, Number(up));
      },
    });
  }

  private gaugePools(registers: Registry[]): void {
    const { pools } = this;
    new Gauge({
      name: 'db_pool_connections',
      help: 'Open connections to the database, by their current state.',
      labelNames: ['pool', 'state', 'node'],
      registers,
      collect() {
        this.reset();
        for (const { labels, state } of pools) {
          const { used, idle } = state();
          this.inc({ ...labels, state: 'used' }, used);
          this.inc({ ...labels, state: 'idle' }, idle);
        }
      },
    });
    new Gauge({
      name: 'db_pool_waiting',
      help: 'Work that waits for a connection.',
      labelNames: ['pool', 'node'],
      registers,
      collect() {
        this.reset();
        for (const { labels, state } of pools) this.inc(labels, state().waiting);
      },
    });
  }
}

/** The version in the nearest package.json upwards: from the source, from the build, and from the bundle of both. */
export function buildVersion(): string {
  for (let folder = __dirname; folder !== dirname(folder); folder = dirname(folder)) {
    try {
      return (JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string }).version;
    } catch {
      // not here
    }
  }
  return 'unknown';
}
