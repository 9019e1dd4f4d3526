import { Injectable } from '@nestjs/common';
import { Config } from '../config/config';
import { firstIdAt } from '../ids/ids';

const DAY_MS = 86_400_000;
const REFRESH_INTERVAL_MS = 60_000;

/**
 * Tenants in their first day have a share of the usual limits, so that a tenant of an attacker has little before an
 * operator can react. The time is in the tenant's id, so that it costs no query.
 */
@Injectable()
export class NewTenants {
  private readonly percent: number;
  /** Ids of new tenants are between these. */
  private from = '';
  private to = '';
  private refreshedAt = -Infinity;

  constructor(config: Config) {
    this.percent = config.NEW_TENANT_LIMITS_PERCENT;
  }

  /** Whether the tenant has lower limits now. */
  has(tenantId: string): boolean {
    if (this.percent === 100) return false;
    const now = performance.now();
    if (now - this.refreshedAt > REFRESH_INTERVAL_MS) this.refresh(now);
    return tenantId >= this.from && tenantId < this.to;
  }

  /** A limit as it holds for new tenants: a whole number, and at least one. */
  reduced(limit: number): number {
    return Math.max(1, Math.floor((limit * this.percent) / 100));
  }

  private refresh(now: number): void {
    const today = new Date().getTime();
    this.refreshedAt = now;
    this.from = firstIdAt(today - DAY_MS);
    // An id from elsewhere that is no UUIDv7 is new only by a rare chance.
    this.to = firstIdAt(today + DAY_MS);
  }
}
