import { Injectable } from '@nestjs/common';
import type { Row, Statement } from '../database/sql/statement';
import { TenantDatabase } from '../database/tenant-database';

/** A statement that counts something of a tenant, in a column `count`. */
export type Counter = (tenantId: string) => Statement;

/** Counts the contents of a tenant over all features: each registers its counts. */
@Injectable()
export class TenantContents {
  private readonly counters = new Map<string, Counter>();

  constructor(private readonly database: TenantDatabase) {}

  register(name: string, counter: Counter): void {
    this.counters.set(name, counter);
  }

  /** The counts by name. */
  async of(tenantId: string): Promise<Record<string, number>> {
    const counted = await Promise.all(
      [...this.counters].map(async ([name, counter]) => {
        const [row] = await this.database.query<{ count: number } & Row>({ tenantId }, counter(tenantId));
        return [name, row?.count ?? 0] as const;
      }),
    );
    return Object.fromEntries(counted);
  }
}
