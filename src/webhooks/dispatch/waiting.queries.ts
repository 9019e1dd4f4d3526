/** The statements that read the waiting deliveries of all tenants, as the dispatcher's role. */
import type { Row, Statement } from '../../platform/database/sql/statement';
import type { OwnedShards } from '../../platform/shards/owned-shards';
import { isInShards } from '../../platform/shards/tenant-shard';

/**
 * The table `waiting` for a WITH: each endpoint with waiting deliveries, per status, with the first due time. A loose
 * index scan: its cost grows with queues, not with deliveries.
 */
const WAITING_QUEUES = `recursive waiting as (
               (select tenant_id, endpoint_id, status, next_attempt_at from deliveries
                 where status in ('pending', 'retrying')
                 order by tenant_id, endpoint_id, status, next_attempt_at limit 1)
               union all
               select next.* from waiting, lateral (
                 select d.tenant_id, d.endpoint_id, d.status, d.next_attempt_at from deliveries d
                  where d.status in ('pending', 'retrying')
                    and (d.tenant_id, d.endpoint_id, d.status) > (waiting.tenant_id, waiting.endpoint_id, waiting.status)
                  order by d.tenant_id, d.endpoint_id, d.status, d.next_attempt_at limit 1) as next
             )`;

/** One status queue of an endpoint's waiting deliveries. */
export interface WaitingEndpoint extends Row {
  tenant_id: string;
  endpoint_id: string;
  status: 'pending' | 'retrying';
  next_attempt_at: Date;
}

/** Each endpoint of these shards with waiting deliveries, per status, with the first due time. */
export function findWaitingEndpoints(shards: OwnedShards, limit: number, isDistributed: boolean): Statement {
  const values = [limit, shards.count, shards.all()];
  return isDistributed
    ? {
        name: 'deliveries_waiting_distributed',
        text: `select tenant_id, endpoint_id, status, min(next_attempt_at) as next_attempt_at from deliveries
                where status in ('pending', 'retrying') and ${isInShards('tenant_id', '$2', '$3')}
                group by tenant_id, endpoint_id, status limit $1`,
        values,
      }
    : { name: 'deliveries_waiting', text: WAITING_IN_SHARDS, values };
}

/**
 * Two loose index scans: over the tenants with waiting deliveries, then over the endpoints of those in the shards. So
 * the endpoints of other workers' tenants cost nothing.
 */
const WAITING_IN_SHARDS = `with recursive tenant as (
               (select tenant_id from deliveries where status in ('pending', 'retrying') order by tenant_id limit 1)
               union all
               select (select d.tenant_id from deliveries d
                        where d.status in ('pending', 'retrying') and d.tenant_id > tenant.tenant_id
                        order by d.tenant_id limit 1)
                 from tenant where tenant.tenant_id is not null
             )
             select head.* from tenant, lateral (
               with recursive waiting as (
                 (select tenant_id, endpoint_id, status, next_attempt_at from deliveries
                   where tenant_id = tenant.tenant_id and status in ('pending', 'retrying')
                   order by endpoint_id, status, next_attempt_at limit 1)
                 union all
                 select next.* from waiting, lateral (
                   select d.tenant_id, d.endpoint_id, d.status, d.next_attempt_at from deliveries d
                    where d.tenant_id = waiting.tenant_id and d.status in ('pending', 'retrying')
                      and (d.endpoint_id, d.status) > (waiting.endpoint_id, waiting.status)
                    order by d.endpoint_id, d.status, d.next_attempt_at limit 1) as next
               ) select * from waiting) as head
              where ${isInShards('tenant.tenant_id', '$2', '$3')} limit $1`;

/** The due deliveries, those in the queue included. */
export interface DueRow extends Row {
  count: number;
  /** The first due time; null if none is due. */
  since: Date | null;
}

/**
 * Counts the due deliveries up to a limit. Citus allows no recursion over several servers: each server scans its own.
 */
export function countDue(now: Date, limit: number, isDistributed: boolean): Statement {
  return isDistributed
    ? {
        name: 'backlog_deliveries_distributed',
        text: `select count(*)::int as count, min(next_attempt_at) as since from (
                 select next_attempt_at from deliveries
                  where status in ('pending', 'retrying') and next_attempt_at <= $1
                  order by next_attempt_at limit $2) as due`,
        values: [now, limit],
      }
    : {
        name: 'backlog_deliveries',
        text: `with ${WAITING_QUEUES}, due_queue as materialized (
                 select * from (select * from waiting limit $2) as queues where next_attempt_at <= $1
               ), due as (
                 select 1 from due_queue q, lateral (
                   select 1 from deliveries d
                    where d.tenant_id = q.tenant_id and d.endpoint_id = q.endpoint_id and d.status = q.status
                      and d.status in ('pending', 'retrying') and d.next_attempt_at <= $1 limit $2) as rows
                 limit $2
               ) select (select count(*) from due)::int as count, (select min(next_attempt_at) from due_queue) as since`,
        values: [now, limit],
      };
}
