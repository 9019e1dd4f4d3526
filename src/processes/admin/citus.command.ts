/** Commands for tenants over several servers of Citus; they log in as the owner of the tables. */
import { type Config, required } from '../../platform/config/config';
import {
  type CitusServer,
  findTenant,
  isolateTenant,
  moveTenant,
  rebalance,
  type TenantPlace,
} from '../../platform/database/migrate/move-shards';
import { UsageError } from '../lifecycle';
import { type Command, readId } from './command';

const MEANWHILE = `Row-level security is not forced on the owner of the tables meanwhile, which no process of the service is. It is forced
again at the end, and after a crash of this command by the next one or by migrate.`;

export const moveCommand: Command = {
  summary: 'Moves the shard of a tenant to another server while it is served (Citus)',
  description: `Tenants of the same shard move with it. ${MEANWHILE}`,
  arguments: '<tenant> <host:port>',
  async run({ config, positionals, dryRun }) {
    const tenantId = readId('the tenant', positionals[0]);
    const to = readServer(positionals[1]);
    const from = await (dryRun
      ? findTenant(ownerUrl(config), tenantId)
      : moveTenant(ownerUrl(config), tenantId, to, untilSignal()));
    return {
      lines: [`${dryRun ? 'would move' : 'moved'} shard ${from.shardId} from ${nameOf(from)} to ${nameOf(to)}`],
      data: { tenant_id: tenantId, shard_id: from.shardId, from: nameOf(from), to: nameOf(to) },
    };
  },
};

export const isolateCommand: Command = {
  summary: 'Gives a tenant a shard of its own on its server (Citus)',
  description: `The tenants of its shard cannot write meanwhile, for seconds. ${MEANWHILE}`,
  arguments: '<tenant>',
  async run({ config, positionals, dryRun }) {
    const tenantId = readId('the tenant', positionals[0]);
    const place = await (dryRun
      ? findTenant(ownerUrl(config), tenantId)
      : isolateTenant(ownerUrl(config), tenantId, untilSignal()));
    const line = dryRun ? `would take it out of shard ${place.shardId}` : `it has shard ${place.shardId}`;
    return {
      lines: [`${line} on ${nameOf(place)}`],
      data: { tenant_id: tenantId, shard_id: place.shardId, server: nameOf(place) },
    };
  },
};

export const rebalanceCommand: Command = {
  summary: 'Spreads the shards evenly over all servers, while the tenants are served (Citus)',
  description: MEANWHILE,
  async run({ config, dryRun }) {
    if (dryRun) return { lines: ['would rebalance the shards'], data: {} };
    await rebalance(ownerUrl(config), untilSignal());
    return { lines: ['rebalanced the shards'], data: {} };
  },
};

/** Aborts at a signal: the move is cancelled, and then the command ends. */
function untilSignal(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => controller.abort());
  return controller.signal;
}

function ownerUrl(config: Config): string {
  return config.MIGRATION_DATABASE_URL ?? config.DIRECT_DATABASE_URL ?? required(config, 'DATABASE_URL');
}

/** @throws UsageError unless the text is a host and a port */
function readServer(text: string | undefined): CitusServer {
  const [, host, port] = /^(.+):(\d{1,5})$/.exec(text ?? '') ?? [];
  if (!host || !port) throw new UsageError('the server must be host:port, as in pg_dist_node');
  return { host, port: Number(port) };
}

const nameOf = ({ host, port }: CitusServer | TenantPlace): string => `${host}:${port}`;
