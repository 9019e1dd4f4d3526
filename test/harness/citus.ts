import { randomBytes } from 'node:crypto';
import { Client } from 'pg';
import { migrate, migrationClasses } from '../../src/platform/database/migrate/migrations';
import { FILLINGS, PLACEMENTS } from '../../src/processes/tables';
import { TestCluster } from './cluster';
import { SERVICE_PASSWORD, type TestDatabase, withDatabase, withLogin } from './databases';

/** A database on Citus, or on a stand-in for it. */
export interface DistributedDatabase extends TestDatabase {
  /** Migrates again; returns the applied migrations. */
  migrate(): Promise<string[]>;
}

/** URLs of a superuser, of the coordinator and of the other servers, comma-separated; `trust` between them. */
export function citusUrls(): string[] {
  const urls = (process.env.TEST_CITUS_URLS ?? '').split(',').filter((url) => url !== '');
  if (urls.length === 0) {
    process.stderr.write('\n*** TEST_CITUS_URLS is not set: the tests on a real Citus are SKIPPED ***\n\n');
  }
  return urls;
}

/** A migrated database on a real Citus, distributed over its servers. */
export async function createDistributedDatabase(urls: readonly string[]): Promise<DistributedDatabase> {
  const name = `orders_test_${randomBytes(6).toString('hex')}`;
  await onEach(urls, 'postgres', `create database ${name}`);
  await joinServers(urls, name);
  return migrated(name, withDatabase(urls[0] as string, name), () => dropOnEach(urls, name));
}

/** A database of an owner that is no superuser, on servers that do not know of each other yet. */
export interface OwnedDatabase extends TestDatabase {
  /** As `sql`, on the server of this number. */
  sqlOn<R extends Record<string, unknown>>(server: number, text: string): Promise<R[]>;
  /** Migrates; `count`: as a release did that had so many migrations. */
  migrate(count?: number): Promise<string[]>;
  /** Installs Citus on each server and joins them. */
  joinServers(): Promise<void>;
}

/** @param urls as of {@link citusUrls} */
export async function createOwnedDatabase(urls: readonly string[]): Promise<OwnedDatabase> {
  const name = `orders_test_${randomBytes(6).toString('hex')}`;
  const owner = `${name}_owner`;
  await onEach(urls, 'postgres', `create role ${owner} login createrole password '${SERVICE_PASSWORD}'`);
  await onEach(urls, 'postgres', `create database ${name} owner ${owner}`);
  const ownerUrl = withLogin(withDatabase(urls[0] as string, name), owner, SERVICE_PASSWORD);
  const serviceUrl = withLogin(ownerUrl, 'app_service', SERVICE_PASSWORD);
  return {
    name,
    ownerUrl,
    serviceUrl,
    sql: (text, values) => runOn(withDatabase(urls[0] as string, name), text, values),
    sqlOn: (server, text) => runOn(withDatabase(urls[server] as string, name), text),
    migrate: (count) =>
      migrate({
        migrationUrl: ownerUrl,
        serviceUrl,
        statementTimeout: 15_000,
        placements: PLACEMENTS,
        fillings: FILLINGS,
        migrations: migrationClasses().slice(0, count),
      }),
    joinServers: () => joinServers(urls, name),
    async drop() {
      await dropOnEach(urls, name);
      await onEach(urls, 'postgres', `drop owned by ${owner} cascade`);
      await onEach(urls, 'postgres', `drop role ${owner}`);
    },
  };
}

/** Installs Citus in the database of each server, and makes the servers one cluster. */
async function joinServers(urls: readonly string[], name: string): Promise<void> {
  await onEach(urls, name, 'create extension citus');
  const [coordinator, ...others] = urls.map((url) => new URL(withDatabase(url, name))) as [URL, ...URL[]];
  await runOn(coordinator.href, `select citus_set_coordinator_host('${coordinator.hostname}', ${coordinator.port})`);
  for (const { hostname, port } of others) {
    await runOn(coordinator.href, `select citus_add_node('${hostname}', ${port})`);
  }
  if (others.length > 0) return;
  const { hostname, port } = coordinator;
  await runOn(coordinator.href, `select citus_set_node_property('${hostname}', ${port}, 'shouldhaveshards', true)`);
}

async function onEach(urls: readonly string[], database: string, statement: string): Promise<void> {
  for (const url of urls) await runOn(withDatabase(url, database), statement);
}

function dropOnEach(urls: readonly string[], name: string): Promise<void> {
  return onEach(urls, 'postgres', `drop database if exists ${name} with (force)`);
}

/**
 * A migrated database on plain PostgreSQL with stand-ins for Citus' functions, which record their calls. It shows the
 * behaviour of the service and `migrate` with Citus, not the effect in Citus.
 */
export async function createFakeDistributedDatabase(): Promise<DistributedDatabase> {
  const cluster = await TestCluster.start();
  const url = cluster.url('orders');
  await cluster.sql('postgres', 'create database orders');
  await runOn(url, CITUS_STAND_INS);
  return migrated('orders', url, () => cluster.remove());
}

/**
 * Makes plain PostgreSQL say that it has Citus, with stand-ins for its functions, which record their calls. Only a
 * superuser can.
 */
export const CITUS_STAND_INS = `
     insert into pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
       values (99999, 'citus', 10, 'pg_catalog'::regnamespace, false, 'fake');
     create schema fake_citus;
     create table fake_citus.calls (id serial primary key, function text, logicalrelid regclass, column_name text,
                                    colocate_with text, mode text);
     create view public.pg_dist_partition as select logicalrelid from fake_citus.calls;
     create view public.pg_dist_node as select groupid, 'primary' as noderole from (values (0), (1)) as s (groupid);
     grant select on public.pg_dist_node to public;
     create function create_reference_table(name text) returns void language sql as $$
       insert into fake_citus.calls (function, logicalrelid) values ('create_reference_table', name::regclass) $$;
     create function create_distributed_table(name text, column_name text, colocate_with text default 'default')
       returns void language sql as $$
       insert into fake_citus.calls (function, logicalrelid, column_name, colocate_with, mode)
       values ('create_distributed_table', name::regclass, column_name, colocate_with,
               current_setting('citus.multi_shard_modify_mode', true)) $$;`;

async function migrated(name: string, ownerUrl: string, remove: () => Promise<void>): Promise<DistributedDatabase> {
  const serviceUrl = withLogin(ownerUrl, 'app_service', SERVICE_PASSWORD);
  const runMigrate = (): Promise<string[]> =>
    migrate({
      migrationUrl: ownerUrl,
      serviceUrl,
      statementTimeout: 15_000,
      placements: PLACEMENTS,
      fillings: FILLINGS,
    });
  await runMigrate();
  const owner = new Client({ connectionString: ownerUrl });
  owner.on('error', () => undefined);
  await owner.connect();
  return {
    name,
    serviceUrl,
    ownerUrl,
    migrate: runMigrate,
    async sql<R extends Record<string, unknown>>(text: string, values: unknown[] = []) {
      return (await owner.query<R>(text, values)).rows;
    },
    async drop() {
      await owner.end();
      await remove();
    },
  };
}

/** Runs a statement over a connection of its own. */
export async function runOn<R extends Record<string, unknown>>(
  url: string,
  statement: string,
  values?: unknown[],
): Promise<R[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<R>(statement, values)).rows;
  } finally {
    await client.end();
  }
}
