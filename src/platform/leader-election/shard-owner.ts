import { SERVICE_NAME } from '../config/service-name';
import { ServiceClient } from '../database/sql/service-client';
import { connectionFault } from '../net/connection-fault';
import { fairMoves, permitTarget } from './fair-share';
import * as locks from './lock-table';

/** The interval of the checks of the locks: a dead process is noticed within a second. */
const INTERVAL_MS = 1_000;
/** A worker without a reply for this time has lost its session. */
const SESSION_TIMEOUT_MS = 15_000;
/** The smallest raise, as a part of the capacity: a smaller one does not justify its round trips. */
const MIN_RAISE = 1 / 32;

/** Callbacks of ownership, and the connection to use. */
export interface ShardOwnerOptions {
  /** A connection string with a session of its own, past any transaction pooler. */
  connectionString: string;
  /** The variable that it comes from, for the log. */
  variable: string;
  /** The advisory lock that all owners hold in common; a worker of a release with one leader holds it alone. */
  lock: number;
  /** The number of shards, the same in all processes. */
  shards: number;
  /** Permits that this process adds to those of all, owner or not: what it can carry out at once. */
  capacity: number;
  /** Channels of notifications for owners. */
  channels: readonly string[];
  /** Called before this process takes shards. @throws when it must not take any; it is then called again later */
  onJoined: () => Promise<void>;
  /** The permits that this process could use now, those in use included. */
  demand: () => number;
  /** The permits in use. */
  inUse: () => number;
  onGained: (shards: readonly number[]) => void;
  /** Resolves when nothing more is done for these shards; only then may another process get them. */
  onReleased: (shards: readonly number[]) => Promise<void>;
  /** The session has ended, and with it all locks: another process may own the shards already. */
  onLost: (shards: readonly number[]) => void;
  /** Called with the permits that this process may use from now on. */
  onPermits: (permits: number) => void;
  /** The session, and so each of its locks, was alive at this time (`performance.now()`). */
  onConfirmed: (at: number) => void;
  /** A worker has ended, an owner or not: what it did under permits will not end. */
  onWorkerLost: () => void;
  onNotification: (channel: string, payload: string) => void;
  onError: (error: Error) => void;
}

/**
 * Divides the shards among all workers: each is owned by the one whose session holds its advisory lock, and each worker
 * takes its fair part. The same session listens for notifications, so that ownership and listening begin and end
 * together. When a session is lost, so are its locks, and the others take its part within about a second.
 *
 * The permits are divided by demand. A worker writes down its permits before it uses them, and only one raises its
 * permits at a time, so that their sum never exceeds the capacity of all workers.
 */
export class ShardOwner {
  private client?: ServiceClient;
  private joined = false;
  private readonly owned = new Set<number>();
  /** Owned shards on their way to another worker. */
  private readonly releasing = new Set<number>();
  /** The demand and the permits that are written down. */
  private demand = 0;
  private permits = 0;
  /** The capacity of all workers at the last check. */
  private capacity = 0;
  private stopped = false;
  private timer?: NodeJS.Timeout;

  constructor(private readonly options: ShardOwnerOptions) {}

  /** Begins to compete for shards; returns immediately. */
  start(): void {
    void this.tick();
  }

  /** Finishes the work for all shards, and gives up the locks with the connection. */
  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    const shards = this.keptShards();
    if (shards.length > 0) await this.options.onReleased(shards);
    this.owned.clear();
    const client = this.client;
    this.client = undefined;
    await client?.end().catch(() => undefined);
  }

  private async tick(): Promise<void> {
    try {
      const client = this.client ?? (await this.connect());
      await this.checkLocks(client);
    } catch (error) {
      this.disconnected(error as Error);
    }
    if (this.stopped) return;
    this.timer = setTimeout(() => void this.tick(), INTERVAL_MS);
    this.timer.unref();
  }

  /** The queries of a check keep the session alive, too. */
  private async checkLocks(client: ServiceClient): Promise<void> {
    if (!this.joined) {
      if (!(await locks.join(client, this.options.lock))) return;
      for (const channel of this.options.channels) await client.query(`LISTEN ${client.escapeIdentifier(channel)}`);
      await this.options.onJoined();
      this.joined = true;
    }
    await this.announceDemand(client);
    const askedAt = performance.now();
    const view = await locks.readLocks(client, this.options.lock);
    if (this.stopped || this.client !== client) return;
    this.options.onConfirmed(askedAt);
    if (view.capacity < this.capacity) this.options.onWorkerLost();
    this.capacity = view.capacity;
    await this.rebalance(client, view);
    if (this.owned.size > 0 || this.permits > 0) await this.sharePermits(client, view);
  }

  private async rebalance(client: ServiceClient, view: locks.LockView): Promise<void> {
    const moves = fairMoves(view.members, view.pid, this.keptShards(), this.options.shards);
    if (moves.release.length > 0) this.release(client, moves.release);
    if (moves.missing <= 0) return;
    const taken = await locks.tryLockShards(client, moves.take, moves.missing);
    if (this.stopped || this.client !== client || taken.length === 0) return;
    for (const shard of taken) this.owned.add(shard);
    this.options.onGained(taken);
  }

  /** In the background: the checks continue during the last work for a shard. */
  private release(client: ServiceClient, shards: readonly number[]): void {
    for (const shard of shards) this.releasing.add(shard);
    const released = async (): Promise<void> => {
      await this.options.onReleased(shards);
      if (this.client !== client) return;
      for (const shard of shards) {
        this.releasing.delete(shard);
        this.owned.delete(shard);
      }
      await locks.releaseShards(client, shards);
    };
    released().catch((error: Error) => this.client === client && this.disconnected(error));
  }

  private async announceDemand(client: ServiceClient): Promise<void> {
    const demand = this.owned.size === 0 ? 0 : Math.max(0, Math.round(this.options.demand()));
    await locks.replaceDemand(client, this.demand, demand);
    this.demand = demand;
  }

  private async sharePermits(client: ServiceClient, view: locks.LockView): Promise<void> {
    const target = this.owned.size === 0 ? 0 : permitTarget(view.members, view.pid, view.capacity);
    this.options.onPermits(Math.min(target, this.permits));
    if (target < this.permits) {
      // Permits in use stay written down until their work has ended.
      await this.writePermits(client, Math.min(this.permits, Math.max(target, this.options.inUse())));
    } else if (target - this.permits > (this.permits === 0 ? 0 : view.capacity * MIN_RAISE)) {
      await locks.withRaiseLock(client, () => this.raisePermits(client, target));
    }
  }

  private async raisePermits(client: ServiceClient, target: number): Promise<void> {
    const { pid, capacity, members } = await locks.readLocks(client, this.options.lock);
    const others = members.reduce((sum, member) => (member.pid === pid ? sum : sum + member.permits), 0);
    const permits = Math.min(target, capacity - others);
    if (permits <= this.permits) return;
    await this.writePermits(client, permits);
    if (this.client === client) this.options.onPermits(permits);
  }

  private async writePermits(client: ServiceClient, permits: number): Promise<void> {
    await locks.replacePermits(client, this.permits, permits);
    this.permits = permits;
  }

  private async connect(): Promise<ServiceClient> {
    const client = new ServiceClient({
      connectionString: this.options.connectionString,
      application_name: `${SERVICE_NAME} leader`,
      connectionTimeoutMillis: 5_000,
      query_timeout: 10_000,
      keepAlive: true,
    });
    client.on('error', (error) => this.client === client && this.disconnected(error));
    client.on('end', () => this.client === client && this.disconnected(new Error('the leader’s connection ended')));
    client.on('notification', (message) => {
      if (this.owned.size > 0) this.options.onNotification(message.channel, message.payload ?? '');
    });
    await client.connect().catch((error: unknown) => {
      const { host } = new URL(this.options.connectionString);
      throw new Error(`${this.options.variable}: cannot reach ${host} (${connectionFault(error, 'sslrootcert')})`);
    });
    // A frozen or lost machine is silent: the server then ends its session, and with it the locks.
    await client.query(`set idle_session_timeout = ${SESSION_TIMEOUT_MS}`);
    await locks.announceCapacity(client, this.options.capacity);
    if (this.stopped) {
      await client.end();
      throw new Error('stopped');
    }
    this.client = client;
    return client;
  }

  private disconnected(error: Error): void {
    const client = this.client;
    this.client = undefined;
    this.dropOwnership();
    if (this.stopped) return;
    this.options.onError(error);
    client?.end().catch(() => undefined);
  }

  private dropOwnership(): void {
    const shards = this.keptShards();
    const hadWork = this.owned.size > 0;
    this.joined = false;
    this.owned.clear();
    this.releasing.clear();
    this.demand = this.permits = 0;
    if (hadWork) this.options.onLost(shards);
  }

  private keptShards(): number[] {
    return [...this.owned].filter((shard) => !this.releasing.has(shard));
  }
}
