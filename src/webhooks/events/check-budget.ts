import { Injectable } from '@nestjs/common';
import { RateLimited } from '../../platform/errors';

/** Steps of schema checks that a tenant may take in a process at once, and per second: some hundredths of its time. */
const BURST = 400_000;
const PER_SECOND = 200_000;
const MAX_TENANTS = 10_000;

interface Spent {
  steps: number;
  at: number;
}

/**
 * Bounds the time that a process spends on checks of one tenant's events. They also count against the tenant's request
 * limit, but only afterwards: a thousand events that arrive at once have each paid one token by then.
 */
@Injectable()
export class CheckBudget {
  private readonly spentBy = new Map<string, Spent>();

  /** @throws RateLimited if the tenant's checks have used up their budget */
  assertLeft(tenantId: string): void {
    const over = this.level(tenantId) - BURST;
    if (over > 0)
      throw new RateLimited('Checks of events against their schemas took too long; slow down.', over / PER_SECOND);
  }

  /** Counts a check. */
  spend(tenantId: string, steps: number): void {
    const level = this.level(tenantId) + steps;
    this.spentBy.delete(tenantId);
    if (this.spentBy.size >= MAX_TENANTS) this.spentBy.delete(this.spentBy.keys().next().value as string);
    this.spentBy.set(tenantId, { steps: level, at: performance.now() });
  }

  private level(tenantId: string): number {
    const spent = this.spentBy.get(tenantId);
    return spent ? Math.max(0, spent.steps - ((performance.now() - spent.at) / 1000) * PER_SECOND) : 0;
  }
}
