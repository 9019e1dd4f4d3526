import { Injectable } from '@nestjs/common';
import type { TenantScope } from '../database/tenant-database';

/** Which of these types of events some receiver of the tenant asks for. */
export type SubscriptionLookup = (scope: TenantScope, types: readonly string[]) => Promise<ReadonlySet<string>>;

/**
 * Which types of events are asked for: an event that is made for its receivers alone, such as those of the audit log,
 * is not made where it has none. Receivers register how to look that up.
 */
@Injectable()
export class Subscriptions {
  private readonly lookups: SubscriptionLookup[] = [];

  register(lookup: SubscriptionLookup): void {
    this.lookups.push(lookup);
  }

  /** Those of the types that have a receiver. */
  async wanted(scope: TenantScope, types: readonly string[]): Promise<ReadonlySet<string>> {
    const found = await Promise.all(this.lookups.map((lookup) => lookup(scope, types)));
    return new Set(found.flatMap((types) => [...types]));
  }
}
