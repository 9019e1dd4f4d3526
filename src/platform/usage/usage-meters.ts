import { Injectable } from '@nestjs/common';
import type { TenantScope } from '../database/tenant-database';

/**
 * A counted resource of a tenant. The limit of a count applies at every moment; a daily amount restarts at midnight
 * UTC.
 */
export interface UsageMeter {
  name: string;
  limit: number | null;
  period: 'day' | null;
  /** @param since the beginning of the period */
  count(scope: TenantScope, since: Date): Promise<number>;
}

/** The current usage of a meter. */
export interface UsageReading {
  name: string;
  used: number;
  limit: number | null;
  resets_at: string | null;
}

const DAY_MS = 86_400_000;

/** The meters that features register, and their readings. */
@Injectable()
export class UsageMeters {
  private readonly meters: UsageMeter[] = [];

  register(...meters: UsageMeter[]): void {
    this.meters.push(...meters);
  }

  /** The readings of a tenant, one meter after the other: they share the tenant's connections. */
  async read(scope: TenantScope): Promise<UsageReading[]> {
    const midnight = Math.floor(new Date().getTime() / DAY_MS) * DAY_MS;
    const readings: UsageReading[] = [];
    for (const { name, limit, period, count } of this.meters) {
      const used = await count(scope, new Date(period === 'day' ? midnight : 0));
      readings.push({
        name,
        used,
        limit,
        resets_at: period === 'day' ? new Date(midnight + DAY_MS).toISOString() : null,
      });
    }
    return readings;
  }
}
