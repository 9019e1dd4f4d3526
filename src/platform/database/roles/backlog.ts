import { Injectable } from '@nestjs/common';
import { ConnectionManager } from '../connections/connection-manager';
import type { TransactionSettings } from '../connections/transaction-settings';
import { WAITING_LANES } from './role-databases';
import { DB_ROLES, type RoleName } from '../sql/db-roles';
import type { Row } from '../sql/statement';

/** Bounds of one reading: a backlog beyond so many tenants, lanes or rows is only known to be at least that. */
const MOST = 10_000;
/** PostgreSQL itself cancels a reading that takes longer. */
const STATEMENT_TIMEOUT_MS = 2_000;

/** Deliveries that are due, including those being sent. */
export interface DueDeliveries {
  /** The count; at most 10,000. */
  count: number;
  /** When the first of them became due; undefined where none is due. */
  since?: Date;
}

/**
 * The backlog of all tenants together, for monitoring. Each reading uses bounded loose index scans, on the connection
 * for long reads.
 */
@Injectable()
export class BacklogDatabase {
  constructor(private readonly connections: ConnectionManager) {}

  /** The id of the oldest event that has not left the outbox: a UUIDv7, whose time is the event's. */
  async oldestEvent(): Promise<string | undefined> {
    if (this.connections.isDistributed) {
      const [first] = await this.connections.queryIsolated<{ event_id: string }>(this.txSettings(DB_ROLES.relay), {
        name: 'backlog_outbox_distributed',
        text: 'select event_id from outbox order by event_id limit 1',
        values: [],
      });
      return first?.event_id;
    }
    const [oldest] = await this.connections.queryIsolated<{ event_id: string }>(this.txSettings(DB_ROLES.relay), {
      name: 'backlog_outbox',
      text: `with recursive head as (
               (select tenant_id, event_id from outbox order by tenant_id, position limit 1)
               union all
               select next.* from head, lateral (
                 select o.tenant_id, o.event_id from outbox o where o.tenant_id > head.tenant_id
                  order by o.tenant_id, o.position limit 1) as next
             ) select event_id from (select event_id from head limit $1) as heads order by event_id limit 1`,
      values: [MOST],
    });
    return oldest?.event_id;
  }

  /** The deliveries that are due at this time. */
  async dueDeliveries(now: Date): Promise<DueDeliveries> {
    const [row] = this.connections.isDistributed ? await this.dueOnAllServers(now) : await this.dueHere(now);
    return { count: row?.count ?? 0, since: row?.since ?? undefined };
  }

  /** Citus allows no recursion over several servers: each server scans its own rows. */
  private dueOnAllServers(now: Date): Promise<DueRow[]> {
    return this.connections.queryIsolated<DueRow>(this.txSettings(DB_ROLES.dispatcher), {
      name: 'backlog_deliveries_distributed',
      text: `select count(*)::int as count, min(next_attempt_at) as since from (
               select next_attempt_at from deliveries
                where status in ('pending', 'retrying') and next_attempt_at <= $1
                order by next_attempt_at limit $2) as due`,
      values: [now, MOST],
    });
  }

  private dueHere(now: Date): Promise<DueRow[]> {
    return this.connections.queryIsolated<DueRow>(this.txSettings(DB_ROLES.dispatcher), {
      name: 'backlog_deliveries',
      text: `with ${WAITING_LANES}, due_lane as materialized (
               select * from (select * from lane limit $2) as lanes where next_attempt_at <= $1
             ), due as (
               select 1 from due_lane l, lateral (
                 select 1 from deliveries d
                  where d.tenant_id = l.tenant_id and d.endpoint_id = l.endpoint_id and d.status = l.status
                    and d.status in ('pending', 'retrying') and d.next_attempt_at <= $1 limit $2) as rows
               limit $2
             ) select (select count(*) from due)::int as count, (select min(next_attempt_at) from due_lane) as since`,
      values: [now, MOST],
    });
  }

  private txSettings(role: RoleName): TransactionSettings {
    return this.connections.transactionSettings(role, [['statement_timeout', String(STATEMENT_TIMEOUT_MS)]], true);
  }
}

interface DueRow extends Row {
  count: number;
  since: Date | null;
}
