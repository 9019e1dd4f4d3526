import { Injectable } from '@nestjs/common';
import { RelayDatabase } from '../database/roles/relay-database';
import type { Statement } from '../database/sql/statement';
import type { OwnedShards } from '../shards/owned-shards';
import { isInShards } from '../shards/tenant-shard';

/** Bound of a measurement: beyond this many tenants the oldest event is only the oldest of these. */
const MAX_TENANTS = 10_000;

/** The state of the outbox over all tenants: loose index scans, so the cost grows with tenants and not with events. */
@Injectable()
export class OutboxBacklog {
  constructor(private readonly database: RelayDatabase) {}

  /** The tenants of these shards with events in the outbox. */
  async tenantsWithEvents(shards: OwnedShards, limit: number): Promise<string[]> {
    const rows = await this.database.query<{ tenant_id: string }>(
      this.database.isDistributed ? tenantsOnAllServers(shards, limit) : tenants(shards, limit),
    );
    return rows.map((row) => row.tenant_id);
  }

  /** The id of the oldest event in the outbox: a UUIDv7, whose time is the event's. */
  async oldestEvent(): Promise<string | undefined> {
    const [oldest] = await this.database.measure<{ event_id: string }>(
      this.database.isDistributed ? OLDEST_ON_ALL_SERVERS : OLDEST,
    );
    return oldest?.event_id;
  }
}

/** Each process looks at every tenant with events: an index by shard would cost every event more than this scan. */
function tenants(shards: OwnedShards, limit: number): Statement {
  return {
    name: 'outbox_tenants',
    text: `with recursive tenant as (
             (select tenant_id from outbox order by tenant_id limit 1)
             union all
             select (select o.tenant_id from outbox o where o.tenant_id > tenant.tenant_id order by o.tenant_id limit 1)
               from tenant where tenant.tenant_id is not null
           ) select tenant_id from tenant
              where tenant_id is not null and ${isInShards('tenant_id', '$2', '$3')} limit $1`,
    values: [limit, shards.count, shards.all()],
  };
}

/** Each server scans its own outbox, which is short. */
function tenantsOnAllServers(shards: OwnedShards, limit: number): Statement {
  return {
    name: 'outbox_tenants_distributed',
    text: `select tenant_id from outbox where ${isInShards('tenant_id', '$2', '$3')} group by tenant_id limit $1`,
    values: [limit, shards.count, shards.all()],
  };
}

const OLDEST: Statement = {
  name: 'backlog_outbox',
  text: `with recursive head as (
           (select tenant_id, event_id from outbox order by tenant_id, position limit 1)
           union all
           select next.* from head, lateral (
             select o.tenant_id, o.event_id from outbox o where o.tenant_id > head.tenant_id
              order by o.tenant_id, o.position limit 1) as next
         ) select event_id from (select event_id from head limit $1) as heads order by event_id limit 1`,
  values: [MAX_TENANTS],
};

const OLDEST_ON_ALL_SERVERS: Statement = {
  name: 'backlog_outbox_distributed',
  text: 'select event_id from outbox order by event_id limit 1',
  values: [],
};
