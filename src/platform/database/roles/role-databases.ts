import { Injectable } from '@nestjs/common';
import { Core } from '../connections/connection-manager';
import { idSetting, type Setting } from '../connections/transaction-settings';
import { ROLES } from '../sql/db-roles';
import type { Row } from '../sql/statement';
import { runTransaction } from '../tenant-database';
import { Transaction } from '../transaction';

/** What is known of the one who signs in: nothing yet, then the user, then the tenant. */
export interface SignInScope {
  userId?: string;
  tenantId?: string;
}

/**
 * For what runs before a tenant is known: finding a user by e-mail address, listing that user's memberships, making
 * a tenant. Its role has policies of its own and cannot see an order.
 */
@Injectable()
export class SignInDatabase {
  constructor(private readonly core: Core) {}

  transaction<T>(scope: SignInScope, work: (tx: Transaction) => Promise<T>): Promise<T> {
    const settings: Setting[] = [];
    if (scope.userId !== undefined) settings.push(idSetting('app.user_id', scope.userId));
    if (scope.tenantId !== undefined) settings.push(idSetting('app.tenant_id', scope.tenantId));
    return runTransaction(new Transaction(this.core, this.core.prologue(ROLES.signIn, settings)), work);
  }
}

/** For deleting what has expired, of every tenant: its role sees expired rows only, and may only delete them. */
@Injectable()
export class JanitorDatabase {
  constructor(private readonly core: Core) {}

  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return runTransaction(new Transaction(this.core, this.core.prologue(ROLES.janitor, [])), work);
  }
}

/** For NOTIFY: needs no tenant and sees no row. */
@Injectable()
export class NotificationDatabase {
  constructor(private readonly core: Core) {}

  async notify(channel: string, message: string): Promise<void> {
    // A transaction that notifies gets an id and would wait for the log to reach the disk, on which nothing here depends.
    await this.core.read(this.core.prologue(ROLES.service, [['synchronous_commit', 'off']], true), {
      name: 'notify',
      text: 'select pg_notify($1, $2)',
      values: [channel, message],
    });
  }
}

/**
 * The table `lane` for a WITH: each endpoint with waiting deliveries, per status, and when the first of them is due. A loose
 * index scan: its cost grows with lanes, not with deliveries.
 */
export const WAITING_LANES = `recursive lane as (
               (select tenant_id, endpoint_id, status, next_attempt_at from deliveries
                 where status in ('pending', 'retrying')
                 order by tenant_id, endpoint_id, status, next_attempt_at limit 1)
               union all
               select next.* from lane, lateral (
                 select d.tenant_id, d.endpoint_id, d.status, d.next_attempt_at from deliveries d
                  where d.status in ('pending', 'retrying')
                    and (d.tenant_id, d.endpoint_id, d.status) > (lane.tenant_id, lane.endpoint_id, lane.status)
                  order by d.tenant_id, d.endpoint_id, d.status, d.next_attempt_at limit 1) as next
             )`;

/** For the relay and the dispatcher: which tenants and endpoints have work, and nothing of what it is. */
@Injectable()
export class DiscoveryDatabase {
  constructor(private readonly core: Core) {}

  /** The tenants with events in the outbox, by a loose index scan: the cost grows with tenants, not with events. */
  async tenantsWithEvents(limit: number): Promise<string[]> {
    const prologue = this.core.prologue(ROLES.relay, [], true);
    if (this.core.isSpread) {
      // Citus takes no recursion over several servers; each looks through its own outbox, which is short.
      const rows = await this.core.read<{ tenant_id: string }>(prologue, {
        name: 'outbox_tenants_spread',
        text: 'select tenant_id from outbox group by tenant_id limit $1',
        values: [limit],
      });
      return rows.map((row) => row.tenant_id);
    }
    const rows = await this.core.read<{ tenant_id: string }>(prologue, {
      name: 'outbox_tenants',
      text: `with recursive tenant as (
               (select tenant_id from outbox order by tenant_id limit 1)
               union all
               select (select o.tenant_id from outbox o where o.tenant_id > tenant.tenant_id order by o.tenant_id limit 1)
                 from tenant where tenant.tenant_id is not null
             ) select tenant_id from tenant where tenant_id is not null limit $1`,
      values: [limit],
    });
    return rows.map((row) => row.tenant_id);
  }

  /** Each endpoint with waiting deliveries, per status, and when the first of them is due; the same way. */
  waitingEndpoints(limit: number): Promise<WaitingEndpoint[]> {
    const prologue = this.core.prologue(ROLES.dispatcher, [], true);
    if (this.core.isSpread) {
      return this.core.read<WaitingEndpoint>(prologue, {
        name: 'deliveries_waiting_spread',
        text: `select tenant_id, endpoint_id, status, min(next_attempt_at) as next_attempt_at from deliveries
                where status in ('pending', 'retrying') group by tenant_id, endpoint_id, status limit $1`,
        values: [limit],
      });
    }
    return this.core.read<WaitingEndpoint>(prologue, {
      name: 'deliveries_waiting',
      text: `with ${WAITING_LANES} select * from lane limit $1`,
      values: [limit],
    });
  }
}

/** An endpoint's lane of waiting deliveries. */
export interface WaitingEndpoint extends Row {
  tenant_id: string;
  endpoint_id: string;
  status: 'pending' | 'retrying';
  next_attempt_at: Date;
}
