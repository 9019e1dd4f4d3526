import { Inject, Injectable, type BeforeApplicationShutdown } from '@nestjs/common';
import type { Logger } from 'pino';
import { Config } from '../config/config';
import { TenantDatabase, type TenantScope, type TenantTransaction } from '../database/tenant-database';
import { AppError, RateLimited } from '../errors';
import { LOGGER } from '../observability/logger.module';
import { NewTenants } from './new-tenants';
import { addAmounts, type AmountRow, readAmounts } from './usage.queries';

/** Something that is counted of a tenant as it is made, by the feature that makes it. */
export interface CountedAmount {
  name: string;
  /** The daily limit of a tenant; 0 for no limit. */
  perDay: number;
  /** The number of days for which each is a stored row; 0 if it is no row. */
  storedDays: number;
}

/** In the place of a number of days, of rows that are kept without an end. */
export const FOR_GOOD = 1_000_000;

/** The longest that amounts are kept in memory, and how much of one may be, before they are written. */
const WRITE_AFTER_MS = 60_000;
const WRITE_AFTER_AMOUNT = 1_000;
const REFRESH_INTERVAL_MS = 5_000;
/** Tenants of which this process keeps amounts; those beyond are not counted until there is room. */
const MAX_TENANTS = 50_000;
const FORGET_AFTER_MS = 10 * 60_000;
const DAY_MS = 86_400_000;
/** The meter of all rows together. */
const STORED_ROWS = 'stored_rows';

/** The state of a tenant in this process. */
interface Entry {
  /** Not written yet. */
  pending: Map<string, number>;
  /** The values of the last read, including those of other processes. */
  known?: { day: number; today: Map<string, number>; stored: number };
  readAt: number;
  usedAt: number;
  /** Whether something of it has reached the amount that is written at the next look. */
  isDue: boolean;
}

/** An amount of now, with its limit; `resetsAt` is the end of the day, for one that is counted by day. */
export interface AmountReading {
  name: string;
  used: number;
  limit: number | null;
  resetsAt: Date | null;
}

/**
 * Counts what tenants create, and refuses amounts beyond their quotas. Counting costs no statement: amounts are added
 * in memory after the commit, and written in bulk after a while. So a quota applies slightly late, by the unwritten
 * amounts of all processes, and a killed process loses a minute at most.
 */
@Injectable()
export class TenantUsage implements BeforeApplicationShutdown {
  private readonly amounts = new Map<string, CountedAmount>();
  private readonly entries = new Map<string, Entry>();
  private timer?: NodeJS.Timeout;
  private writing?: Promise<void>;
  private readonly maxStoredRows: number;

  constructor(
    private readonly database: TenantDatabase,
    private readonly newTenants: NewTenants,
    config: Config,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    this.maxStoredRows = config.QUOTA_STORED_ROWS;
  }

  /** Declares an amount, before it is counted. */
  define(...amounts: CountedAmount[]): void {
    for (const amount of amounts) this.amounts.set(amount.name, amount);
  }

  /** Counts the amounts of a transaction, once it has committed. */
  count(tx: TenantTransaction, name: string, amount: number): void {
    tx.afterCommit(() => this.add(tx.tenantId, name, amount));
  }

  /** Counts committed amounts. */
  add(tenantId: string, name: string, amount: number): void {
    const entry = this.entryOf(tenantId);
    if (!entry || amount === 0) return;
    const pending = (entry.pending.get(name) ?? 0) + amount;
    entry.pending.set(name, pending);
    if (pending >= WRITE_AFTER_AMOUNT) entry.isDue = true;
  }

  /**
   * Asserts that the tenant may create more, by the known amounts; reads nothing.
   * @throws RateLimited beyond a daily amount, until midnight UTC; AppError `business_rule_violation` beyond stored
   * rows
   */
  assertLeft({ tenantId }: TenantScope): void {
    const known = this.entryOf(tenantId)?.known;
    if (!known) return;
    const day = today();
    for (const { name, perDay } of this.amounts.values()) {
      if (perDay === 0) continue;
      const limit = this.limitOf(tenantId, perDay);
      const used = (known.day === day ? (known.today.get(name) ?? 0) : 0) + this.pendingOf(tenantId, name);
      if (used < limit) continue;
      const seconds = (endOf(day).getTime() - new Date().getTime()) / 1_000;
      throw new RateLimited(`The tenant has had its ${limit} ${name} of today (UTC); see GET /tenant/usage.`, seconds);
    }
    if (this.maxStoredRows === 0) return;
    const limit = this.limitOf(tenantId, this.maxStoredRows);
    if (known.stored + this.pendingRows(tenantId) < limit) return;
    throw new AppError(
      'business_rule_violation',
      `A tenant stores at most ${limit} rows (${STORED_ROWS}); see GET /tenant/usage.`,
    );
  }

  /** A limit of a count as it holds for the tenant. */
  limitOf(tenantId: string, limit: number): number {
    return this.newTenants.has(tenantId) ? this.newTenants.reduced(limit) : limit;
  }

  /** The usage of every amount, including unwritten ones. */
  async read(scope: TenantScope): Promise<AmountReading[]> {
    const { tenantId } = scope;
    const day = today();
    const rows = await this.database.query<AmountRow>(scope, readAmounts(tenantId, day, this.storedDays()));
    const todayOf = new Map(rows.map((row) => [row.name, row.today]));
    const limitOf = (limit: number): number | null => (limit === 0 ? null : this.limitOf(tenantId, limit));
    const daily = [...this.amounts.values()]
      .filter(({ perDay, storedDays }) => perDay > 0 || storedDays === 0)
      .map(({ name, perDay }) => ({
        name,
        used: (todayOf.get(name) ?? 0) + this.pendingOf(tenantId, name),
        limit: limitOf(perDay),
        resetsAt: endOf(day),
      }));
    const stored = this.storedRows(rows) + this.pendingRows(tenantId);
    return [...daily, { name: STORED_ROWS, used: stored, limit: limitOf(this.maxStoredRows), resetsAt: null }];
  }

  /** Writes everything, before connections are closed. */
  async beforeApplicationShutdown(): Promise<void> {
    clearInterval(this.timer);
    await this.writing;
    await this.write(() => true);
  }

  private entryOf(tenantId: string): Entry | undefined {
    let entry = this.entries.get(tenantId);
    if (!entry) {
      if (this.entries.size >= MAX_TENANTS) return undefined;
      entry = { pending: new Map(), readAt: -Infinity, usedAt: 0, isDue: true };
      this.entries.set(tenantId, entry);
      this.timer ??= setInterval(() => void this.refresh(), REFRESH_INTERVAL_MS).unref();
      // The first request of a tenant reads it immediately, so that a new process has the quota.
      setImmediate(() => void this.refresh());
    }
    entry.usedAt = performance.now();
    return entry;
  }

  private refresh(): Promise<void> {
    const now = performance.now();
    for (const [tenantId, entry] of this.entries) {
      if (entry.pending.size === 0 && now - entry.usedAt > FORGET_AFTER_MS) this.entries.delete(tenantId);
    }
    return this.write((entry) => entry.isDue || now - entry.readAt > WRITE_AFTER_MS);
  }

  private write(isDue: (entry: Entry) => boolean): Promise<void> {
    this.writing ??= this.writeDue(isDue).finally(() => (this.writing = undefined));
    return this.writing;
  }

  private async writeDue(isDue: (entry: Entry) => boolean): Promise<void> {
    for (const [tenantId, entry] of this.entries) {
      if (isDue(entry) && !(await this.writeOne(tenantId, entry))) return;
    }
  }

  /** Returns false if the database is unavailable: the others would fail, too. */
  private async writeOne(tenantId: string, entry: Entry): Promise<boolean> {
    const { pending } = entry;
    const day = today();
    entry.pending = new Map();
    entry.isDue = false;
    try {
      if (pending.size > 0) {
        await this.database.transaction({ tenantId }, async (tx) => tx.defer(addAmounts(tenantId, day, pending)));
        pending.clear();
      }
      const rows = await this.database.query<AmountRow>({ tenantId }, readAmounts(tenantId, day, this.storedDays()));
      entry.readAt = performance.now();
      entry.known = { day, today: new Map(rows.map((row) => [row.name, row.today])), stored: this.storedRows(rows) };
      return true;
    } catch (error) {
      for (const [name, amount] of pending) entry.pending.set(name, (entry.pending.get(name) ?? 0) + amount);
      this.logger.warn({ reason: (error as Error).message }, 'amounts of tenants could not be written');
      return false;
    }
  }

  private storedDays(): Map<string, number> {
    return new Map([...this.amounts.values()].map(({ name, storedDays }) => [name, storedDays]));
  }

  private storedRows(rows: readonly AmountRow[]): number {
    return rows.reduce((sum, { stored }) => sum + stored, 0);
  }

  private pendingOf(tenantId: string, name: string): number {
    return this.entries.get(tenantId)?.pending.get(name) ?? 0;
  }

  private pendingRows(tenantId: string): number {
    let rows = 0;
    for (const [name, amount] of this.entries.get(tenantId)?.pending ?? []) {
      if ((this.amounts.get(name)?.storedDays ?? 0) > 0) rows += amount;
    }
    return rows;
  }
}

function today(): number {
  return Math.floor(new Date().getTime() / DAY_MS);
}

function endOf(day: number): Date {
  return new Date((day + 1) * DAY_MS);
}
