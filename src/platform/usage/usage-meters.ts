import { Injectable } from '@nestjs/common';
import type { TenantScope } from '../database/tenant-database';
import { TenantUsage } from './tenant-usage';

/** A counted resource of a tenant. The limit applies at every moment. */
export interface UsageMeter {
  name: string;
  limit: number;
  count(scope: TenantScope): Promise<number>;
}

/** The current usage of a meter. */
export interface UsageReading {
  name: string;
  used: number;
  limit: number | null;
  resets_at: string | null;
}

/** The meters that features register, and their readings. */
@Injectable()
export class UsageMeters {
  private readonly meters: UsageMeter[] = [];

  constructor(private readonly usage: TenantUsage) {}

  register(...meters: UsageMeter[]): void {
    this.meters.push(...meters);
  }

  /**
   * The readings of a tenant: of meters, one after the other, since they share the tenant's connections, and of
   * amounts.
   */
  async read(scope: TenantScope): Promise<UsageReading[]> {
    const readings: UsageReading[] = [];
    for (const { name, limit, count } of this.meters) {
      const used = await count(scope);
      readings.push({ name, used, limit: this.usage.limitOf(scope.tenantId, limit), resets_at: null });
    }
    for (const { name, used, limit, resetsAt } of await this.usage.read(scope)) {
      readings.push({ name, used, limit, resets_at: resetsAt && resetsAt.toISOString() });
    }
    return readings;
  }
}
