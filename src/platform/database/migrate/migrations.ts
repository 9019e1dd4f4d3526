import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from 'pg';
import { DataSource, type MigrationInterface } from 'typeorm';
import { HAS_CITUS } from '../sql/citus';
import type { Filling, Placements } from '../sql/tables';
import { distributeTables } from './distribute-tables';
import { sqlState } from '../sql/errors';
import { assertIndexesValid, describeInvalid, dropInvalidIndexes, invalidIndexes } from './invalid-indexes';
import { withMigrationLock, OWNER_CONNECTION } from './migration-lock';
import { type MigrationSql, sqlOf } from './migration-sql';
import { QUEUE_SCHEMA } from './queue-login';
import { forceRowSecurity } from './move-shards';
import { ensureLogin, type ServiceLogin } from './service-login';

/** The class of a migration; its name is the migration's. */
export type MigrationClass = new () => MigrationInterface;

/**
 * Longest wait of a migration for a table, and with it the wait of all statements behind it. Then it releases the queue
 * and retries.
 */
const LOCK_TIMEOUT_MS = 2_000;
const LOCK_ATTEMPTS = 30;
const LOCK_NOT_AVAILABLE = '55P03';
/**
 * A foreign key between two tables makes Citus refuse a change of the second one in a transaction that has changed the
 * shards of the first one over several connections.
 */
const ONE_SHARD_AFTER_THE_OTHER = ' -c citus.multi_shard_modify_mode=sequential';

/** The connections of the migrations, and the requirements of the service's login. */
export interface MigrateOptions extends ServiceLogin {
  /** The owner of the tables. */
  migrationUrl: string;
  /** The placements of all tables where Citus is installed. */
  placements?: Placements;
  /** The reference tables that are filled in before they are distributed. */
  fillings?: readonly Filling[];
  /** All migrations, oldest first; by default those of this build. */
  migrations?: readonly MigrationClass[];
  /** Called when a table was in use for too long, before the migration is tried again. */
  onTableInUse?: (attempt: number) => void;
}

/** The difference between a database and this build's migrations. */
export interface MigrationStatus {
  /** Migrations of this build that are not applied. */
  pending: string[];
  /** Applied migrations that are unknown to this build: a newer release applied them. */
  unknown: string[];
  /** Invalid indexes, each with the statement that repairs it. */
  invalid: string[];
}

/** A pending migration. */
export interface PlannedMigration extends MigrationSql {
  name: string;
}

/** The nearest folder of that name upwards: from the source, from the build, and from the bundle of both. */
function migrationsFolder(): string {
  for (let folder = __dirname; ; folder = dirname(folder)) {
    const found = join(folder, 'migrations');
    if (existsSync(found)) return found;
    if (folder === dirname(folder)) throw new Error('there is no folder of migrations');
  }
}

/** All migrations of this build, oldest first. */
export function migrationClasses(): MigrationClass[] {
  const folder = migrationsFolder();
  return readdirSync(folder)
    .filter((file) => /^\d+-[a-z0-9-]+\.(js|ts)$/.test(file))
    .sort()
    .flatMap((file) => {
      // eslint-disable-next-line @typescript-eslint/no-require-imports -- the folder is the list
      return Object.values(require(join(folder, file)) as Record<string, MigrationClass>);
    });
}

/** The names of this build's migrations that TypeORM writes into its table. */
export function migrationNames(): string[] {
  return migrationClasses().map((migration) => migration.name);
}

/** Compares the applied migrations with this build; changes nothing. */
export function migrationStatus(migrationUrl: string): Promise<MigrationStatus> {
  return withMigrationLock(migrationUrl, (client) => statusOf(client, migrationClasses()));
}

/** The migrations that {@link migrate} would apply now, with their SQL. Changes nothing. */
export async function planMigrations(migrationUrl: string): Promise<PlannedMigration[]> {
  const { pending } = await migrationStatus(migrationUrl);
  return sqlOfMigrations(migrationClasses().filter(({ name }) => pending.includes(name)));
}

function sqlOfMigrations(classes: readonly MigrationClass[]): Promise<PlannedMigration[]> {
  return Promise.all(classes.map(async (migration) => ({ name: migration.name, ...(await sqlOf(new migration())) })));
}

/**
 * Applies pending migrations, each in its own transaction, under an advisory lock, and sets up the service's roles and
 * login.
 * @returns the names of the applied migrations
 */
export function migrate(options: MigrateOptions): Promise<string[]> {
  return withMigrationLock(options.migrationUrl, async (client) => {
    const { migrations = migrationClasses() } = options;
    const { pending } = await statusOf(client, migrations);
    const planned = await sqlOfMigrations(migrations.filter(({ name }) => pending.includes(name)));
    const statements = planned.flatMap((migration) => migration.statements);
    await dropInvalidIndexes(client, statements);
    await assertIndexesValid(client);
    const isDistributed = await hasCitus(client);
    await withDataSource(options.migrationUrl, migrations, isDistributed, (dataSource) =>
      applyPending(dataSource, options.onTableInUse),
    );
    // BullMQ has tables of its own, for use without Redis. The package is large and only needed here.
    const { runMigrations } = await import('bullmq');
    await onThisServerAlone(client, () => runMigrations(client as never, QUEUE_SCHEMA));
    await ensureLogin(client, options);
    await distributeTables(client, options.placements ?? {}, options.fillings ?? []);
    // A killed `admin citus move` leaves it off.
    await forceRowSecurity(client);
    await assertIndexesValid(client);
    return pending;
  });
}

async function hasCitus(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ has: boolean }>(`select ${HAS_CITUS} as has`);
  return rows[0]?.has ?? false;
}

/**
 * Runs commands that Citus must not repeat on the other servers: the tables of the queue are local. To repeat them, it
 * would alter roles there, which only a superuser may.
 */
async function onThisServerAlone(client: Client, work: () => Promise<unknown>): Promise<void> {
  if (!(await hasCitus(client))) return void (await work());
  await client.query('set citus.enable_ddl_propagation to off');
  await work();
  await client.query('reset citus.enable_ddl_propagation');
}

/** Reverts the newest migration, outside a transaction if it is applied outside of one. */
export function revertLast(migrationUrl: string, migrations = migrationClasses()): Promise<void> {
  return withMigrationLock(migrationUrl, async (client) => {
    const newest = await newestApplied(client, migrations);
    const transaction = newest && new newest().transaction === false ? 'none' : 'each';
    await withDataSource(migrationUrl, migrations, await hasCitus(client), (dataSource) =>
      dataSource.undoLastMigration({ transaction }),
    );
  });
}

/** The migration that was applied last; undefined if there is none, or this build does not have it. */
async function newestApplied(
  client: Client,
  migrations: readonly MigrationClass[],
): Promise<MigrationClass | undefined> {
  if (!(await hasMigrations(client))) return undefined;
  const { rows } = await client.query<{ name: string }>('select name from migrations order by id desc limit 1');
  return migrations.find(({ name }) => name === rows[0]?.name);
}

async function hasMigrations(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ made: boolean }>(`select to_regclass('migrations') is not null as made`);
  return rows[0]?.made ?? false;
}

async function statusOf(client: Client, migrations: readonly MigrationClass[]): Promise<MigrationStatus> {
  const names = migrations.map(({ name }) => name);
  const invalid = (await invalidIndexes(client)).map(describeInvalid);
  if (!(await hasMigrations(client))) return { pending: names, unknown: [], invalid };
  const applied = (await client.query<{ name: string }>('select name from migrations order by id')).rows;
  const known = new Set(applied.map(({ name }) => name));
  return {
    pending: names.filter((name) => !known.has(name)),
    unknown: [...known].filter((name) => !names.includes(name)),
    invalid,
  };
}

/** A statement that waits for a table's lock delays all statements behind it: better to fail and retry. */
async function applyPending(dataSource: DataSource, onTableInUse?: (attempt: number) => void): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await dataSource.runMigrations({ transaction: 'each' });
      return;
    } catch (error) {
      if (sqlState(error) !== LOCK_NOT_AVAILABLE || attempt === LOCK_ATTEMPTS) throw error;
      onTableInUse?.(attempt);
      await delay(LOCK_TIMEOUT_MS * (0.5 + Math.random()));
    }
  }
}

async function withDataSource<T>(
  url: string,
  migrations: readonly MigrationClass[],
  isDistributed: boolean,
  work: (dataSource: DataSource) => Promise<T>,
): Promise<T> {
  const dataSource = await new DataSource({
    type: 'postgres',
    url,
    migrations: [...migrations],
    migrationsTableName: 'migrations',
    installExtensions: false,
    poolSize: 2,
    extra: {
      ...OWNER_CONNECTION,
      lock_timeout: LOCK_TIMEOUT_MS,
      options: `${OWNER_CONNECTION.options}${isDistributed ? ONE_SHARD_AFTER_THE_OTHER : ''}`,
    },
    poolErrorHandler: () => undefined,
    logging: false,
  }).initialize();
  try {
    return await work(dataSource);
  } finally {
    await dataSource.destroy();
  }
}
