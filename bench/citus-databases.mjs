/** The databases of `bench:citus`: the same rows on plain PostgreSQL, on one server of Citus, and on several. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { openDatabase, withClient } from './database.mjs';
import { ROOT } from './processes.mjs';

const require = createRequire(import.meta.url);

/**
 * A side of the comparison.
 * @typedef {{ name: string, kind: string, env: Record<string, string>, postmasters: number[], database:
 * import('./database.mjs').Database }} Side
 */

const at = (url, database) => Object.assign(new URL(url), { pathname: `/${database}` }).href;
const runOn = (url, ...statements) =>
  withClient(url, async (client) => {
    for (const statement of statements) await client.query(statement);
  });

/**
 * Plain PostgreSQL is the coordinator's server with a database of its own.
 * @param {{ urls: string[], orders: number, dir: string, say: (line: string) => void }} options
 * @returns {Promise<{ sides: Side[], version: string }>}
 */
export async function createSides({ urls, orders, dir, say }) {
  const [coordinator] = urls;
  const version = await withClient(coordinator, async (client) => {
    const { rows } = await client.query(`select current_setting('server_version') as version`);
    return rows[0].version;
  });
  const postmasters = await Promise.all(urls.map(postmasterOf));
  const make = async (name, servers) => {
    for (const url of servers ?? [coordinator]) await runOn(url, `drop database if exists ${name} with (force)`);
    const postgres = { url: (database) => at(coordinator, database), dir };
    const database = await openDatabase({ postgres, orders, name, say });
    if (servers) await distribute(database, servers, name);
    return database;
  };
  const sides = [];
  const add = (kind, name, database, servers, env = {}) =>
    sides.push({ kind, name, env, postmasters: postmasters.slice(0, servers), database });
  add('plain', 'plain PostgreSQL', await make('bench_plain'), 1);
  add('one server', 'Citus, one server', await make('bench_citus_one', [coordinator]), 1);
  if (urls.length > 1) {
    const several = await make('bench_citus_several', urls);
    add('several', `Citus, ${urls.length} servers`, several, urls.length);
    add('by node', 'the same, `DATABASE_ROUTING=node`', several, urls.length, { DATABASE_ROUTING: 'node' });
  }
  return { sides, version };
}

export async function dropSides(sides, urls) {
  const names = new Set(sides.map(({ database }) => new URL(database.ownerUrl).pathname.slice(1)));
  for (const name of names) {
    for (const url of urls) await runOn(url, `drop database if exists ${name} with (force)`);
  }
}

/** Makes the servers a cluster, and spreads the tables with their rows. */
async function distribute({ ownerUrl, serviceUrl }, servers, name) {
  const [{ hostname, port }, ...others] = servers.map((url) => new URL(url));
  await runOn(ownerUrl, 'create extension citus', `select citus_set_coordinator_host('${hostname}', ${port})`);
  for (const url of others) {
    await runOn(url.href, `create database ${name}`);
    await runOn(at(url.href, name), 'create extension citus');
    await runOn(ownerUrl, `select citus_add_node('${url.hostname}', ${url.port})`);
  }
  if (others.length === 0) {
    await runOn(ownerUrl, `select citus_set_node_property('${hostname}', ${port}, 'shouldhaveshards', true)`);
  }
  const { migrate } = require(join(ROOT, 'dist/src/platform/database/migrate/migrations.js'));
  const { PLACEMENTS } = require(join(ROOT, 'dist/src/processes/tables.js'));
  await migrate({ migrationUrl: ownerUrl, serviceUrl, statementTimeout: 15_000, placements: PLACEMENTS });
  await runOn(ownerUrl, 'vacuum (analyze) orders, order_items, order_history');
}

/** The process whose children are the server's, if it runs on this machine; otherwise 0. */
async function postmasterOf(url) {
  return withClient(url, async (client) => {
    const { rows } = await client.query('select pg_backend_pid() as pid');
    try {
      const stat = readFileSync(`/proc/${rows[0].pid}/stat`, 'latin1');
      if (!stat.includes('(postgres)')) return 0;
      return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    } catch {
      return 0;
    }
  });
}
