import { Injectable } from '@nestjs/common';
import { ConnectionManager } from '../connections/connection-manager';
import { idSetting, type Setting } from '../connections/transaction-settings';
import { DB_ROLES } from '../sql/db-roles';
import type { Row, Statement } from '../sql/statement';
import { runTransaction } from '../tenant-database';
import { Transaction } from '../transaction';

/** The scope of a sign-in: empty at first, then with the user, then with the tenant. */
export interface SignInScope {
  userId?: string;
  tenantId?: string;
}

/**
 * For work before a tenant is known: finding a user by e-mail address, listing the memberships of that user, creating a
 * tenant. Its role has policies of its own and cannot see an order.
 */
@Injectable()
export class SignInDatabase {
  constructor(private readonly connections: ConnectionManager) {}

  transaction<T>(scope: SignInScope, work: (tx: Transaction) => Promise<T>): Promise<T> {
    const settings: Setting[] = [];
    if (scope.userId !== undefined) settings.push(idSetting('app.user_id', scope.userId));
    if (scope.tenantId !== undefined) settings.push(idSetting('app.tenant_id', scope.tenantId));
    return runTransaction(
      new Transaction(this.connections, this.connections.transactionSettings(DB_ROLES.signIn, settings)),
      work,
    );
  }
}

/** For deleting expired rows of every tenant: its role sees expired rows only, and may only delete them. */
@Injectable()
export class RetentionDatabase {
  constructor(private readonly connections: ConnectionManager) {}

  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return runTransaction(
      new Transaction(this.connections, this.connections.transactionSettings(DB_ROLES.janitor, [])),
      work,
    );
  }
}

/** For NOTIFY: needs no tenant and sees no row. */
@Injectable()
export class NotificationDatabase {
  constructor(private readonly connections: ConnectionManager) {}

  async notify(channel: string, message: string): Promise<void> {
    // A notifying transaction gets an id and would wait for the WAL to reach the disk, on which nothing here depends.
    await this.connections.query(
      this.connections.transactionSettings(DB_ROLES.service, [['synchronous_commit', 'off']], true),
      {
        name: 'notify',
        text: 'select pg_notify($1, $2)',
        values: [channel, message],
      },
    );
  }
}

/**
 * The table `lane` for a WITH: each endpoint with waiting deliveries, per status, with the first due time. A loose
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

/** For the relay and the dispatcher: the tenants and endpoints that have work, without the content of the work. */
@Injectable()
export class DiscoveryDatabase {
  constructor(private readonly connections: ConnectionManager) {}

  /** The tenants with events in the outbox, by a loose index scan: the cost grows with tenants, not with events. */
  async tenantsWithEvents(limit: number): Promise<string[]> {
    const txSettings = this.connections.transactionSettings(DB_ROLES.relay, [], true);
    if (this.connections.isDistributed) {
      // Citus allows no recursion over several servers; each server scans its own outbox, which is short.
      const rows = await this.connections.query<{ tenant_id: string }>(txSettings, {
        name: 'outbox_tenants_distributed',
        text: 'select tenant_id from outbox group by tenant_id limit $1',
        values: [limit],
      });
      return rows.map((row) => row.tenant_id);
    }
    const rows = await this.connections.query<{ tenant_id: string }>(txSettings, {
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

  /** Reads as the dispatcher, which sees of every tenant only what its policies name. */
  queryAsDispatcher<R extends Row>(statement: Statement): Promise<R[]> {
    return this.connections.query<R>(this.connections.transactionSettings(DB_ROLES.dispatcher, [], true), statement);
  }

  /** Each endpoint with waiting deliveries, per status, with the first due time; the same way. */
  waitingEndpoints(limit: number): Promise<WaitingEndpoint[]> {
    const txSettings = this.connections.transactionSettings(DB_ROLES.dispatcher, [], true);
    if (this.connections.isDistributed) {
      return this.connections.query<WaitingEndpoint>(txSettings, {
        name: 'deliveries_waiting_distributed',
        text: `select tenant_id, endpoint_id, status, min(next_attempt_at) as next_attempt_at from deliveries
                where status in ('pending', 'retrying') group by tenant_id, endpoint_id, status limit $1`,
        values: [limit],
      });
    }
    return this.connections.query<WaitingEndpoint>(txSettings, {
      name: 'deliveries_waiting',
      text: `with ${WAITING_LANES} select * from lane limit $1`,
      values: [limit],
    });
  }
}

/** One status queue of an endpoint's waiting deliveries. */
export interface WaitingEndpoint extends Row {
  tenant_id: string;
  endpoint_id: string;
  status: 'pending' | 'retrying';
  next_attempt_at: Date;
}
