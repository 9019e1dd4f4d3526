import { Injectable } from '@nestjs/common';
import type { TenantScope } from '../database/tenant-database';

/** The types among these that a receiver of the tenant subscribes to. */
export type SubscriptionLookup = (scope: TenantScope, types: readonly string[]) => Promise<ReadonlySet<string>>;

/**
 * The subscribed types of events: an event that exists only for its receivers, such as those of the audit log, is not
 * written without one. Receivers register their look-up.
 */
@Injectable()
export class Subscriptions {
  private readonly lookups: SubscriptionLookup[] = [];

  register(lookup: SubscriptionLookup): void {
    this.lookups.push(lookup);
  }

  /** Those of the types that have a receiver. */
  async subscribed(scope: TenantScope, types: readonly string[]): Promise<ReadonlySet<string>> {
    const found = await Promise.all(this.lookups.map((lookup) => lookup(scope, types)));
    return new Set(found.flatMap((types) => [...types]));
  }
}
