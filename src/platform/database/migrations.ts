import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { DataSource, type MigrationInterface } from 'typeorm';
import { ROLES } from './roles';

type MigrationClass = new () => MigrationInterface;

/** Any 64-bit number, the same in every release: two `migrate` runs exclude each other by it. */
const MIGRATION_LOCK = 7_263_540_119;
/** Where BullMQ's own tables are. */
const QUEUE_SCHEMA = 'bullmq';
const ROLE_ATTEMPTS = 10;

/** Where the migrations connect, and what the service's login needs. */
export interface MigrateOptions {
  /** The owner of the tables. */
  migrationUrl: string;
  /** The service's own login; where it differs from the owner it is made or altered to be just that. */
  serviceUrl: string;
  /** Applied to the service's role, milliseconds. */
  statementTimeout: number;
}

/** The nearest folder of that name on the way up: from the source, from the build, and from the bundle of both. */
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

/**
 * Applies what is pending, each migration in a transaction of its own, under an advisory lock, and sees that the
 * service's roles and login are as they must be.
 * @returns the names of the migrations that were applied
 */
export function migrate(options: MigrateOptions): Promise<string[]> {
  return alone(options.migrationUrl, async (client, dataSource) => {
    const applied = await dataSource.runMigrations({ transaction: 'each' });
    // BullMQ keeps its own tables, which are used where there is no Redis; the package is large and only needed here.
    const { runMigrations } = await import('bullmq');
    await runMigrations(client as never, QUEUE_SCHEMA);
    await ensureLogin(client, options);
    return applied.map((migration) => migration.name);
  });
}

/** Undoes the newest migration. */
export function revertLast(migrationUrl: string): Promise<void> {
  return alone(migrationUrl, (_, dataSource) => dataSource.undoLastMigration({ transaction: 'each' }));
}

/** Runs `work` as the owner while no other process migrates this database. */
async function alone<T>(url: string, work: (client: Client, dataSource: DataSource) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url, application_name: 'orders-saas-api migrate' });
  await client.connect();
  try {
    await client.query('select pg_advisory_lock($1)', [MIGRATION_LOCK]);
    const dataSource = await ownersDataSource(url).initialize();
    try {
      return await work(client, dataSource);
    } finally {
      await dataSource.destroy();
    }
  } finally {
    await client.end();
  }
}

function ownersDataSource(url: string): DataSource {
  return new DataSource({
    type: 'postgres',
    url,
    migrations: migrationClasses(),
    migrationsTableName: 'migrations',
    installExtensions: false,
    poolSize: 2,
    logging: ['error'],
  });
}

/**
 * The service's login is `app_service` itself, or a role that may become it with SET ROLE. It gets its password from
 * the service's URL, never inherits (so that it has one role's rights at a time), and has bounded patience.
 */
async function ensureLogin(client: Client, options: MigrateOptions): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    await client.query('begin');
    try {
      await setUpLogin(client, options);
      await client.query('commit');
      return;
    } catch (error) {
      await client.query('rollback');
      if (attempt === ROLE_ATTEMPTS || !isRoleRace(error)) throw error;
      await delay(Math.random() * 100 * attempt);
    }
  }
}

/** Roles belong to the cluster, the lock to a database: a migration of another one may change the same role at once. */
function isRoleRace(error: unknown): boolean {
  const { code, message } = error as { code?: string; message?: string };
  return code === '23505' || code === '42710' || /tuple concurrently (updated|deleted)/.test(message ?? '');
}

async function setUpLogin(client: Client, options: MigrateOptions): Promise<void> {
  const service = new URL(options.serviceUrl);
  const { rows: me } = await client.query<{ name: string; superuser: boolean; version: number }>(
    `select rolname as name, rolsuper as superuser, current_setting('server_version_num')::int as version
       from pg_roles where rolname = current_user`,
  );
  const owner = me[0] as (typeof me)[number];
  const login = decodeURIComponent(service.username) || owner.name;
  await client.query(`grant select on migrations to ${ROLES.service}`);
  await client.query(`grant usage, create on schema ${QUEUE_SCHEMA} to ${ROLES.service}`);
  await client.query(`grant all on all tables in schema ${QUEUE_SCHEMA} to ${ROLES.service}`);
  await client.query(`grant all on all sequences in schema ${QUEUE_SCHEMA} to ${ROLES.service}`);
  const name = client.escapeIdentifier(login);
  // Since PostgreSQL 16 inheriting belongs to the grant, before it to the role, which is made `noinherit`.
  const withoutInheriting = owner.version >= 160_000 ? ' with inherit false' : '';
  if (login === owner.name) {
    // The service will log in as the owner and take on its own role in each transaction.
    const roles = Object.values(ROLES).join(', ');
    if (!owner.superuser) await client.query(`grant ${roles} to ${name}${withoutInheriting}`);
    return;
  }
  const { rows } = await client.query('select 1 from pg_roles where rolname = $1', [login]);
  // A URL without a password is of a login that proves itself in another way: what it has is left alone.
  const password = service.password && ` password ${client.escapeLiteral(decodeURIComponent(service.password))}`;
  if (rows.length === 0) await client.query(`create role ${name} login noinherit${password}`);
  else if (login === ROLES.service) await client.query(`alter role ${name} login noinherit${password}`);
  const others = Object.values(ROLES).filter((role) => role !== login);
  await client.query(`grant ${others.join(', ')} to ${name}${withoutInheriting}`);
  await client.query(`alter role ${name} set statement_timeout = ${options.statementTimeout}`);
  await client.query(`alter role ${name} set lock_timeout = ${Math.min(options.statementTimeout, 5_000)}`);
  await client.query(`alter role ${name} set idle_in_transaction_session_timeout = 30000`);
  // Every statement of the service goes by an index. A prepared one may be planned while a table is small, where reading
  // all of it looks cheaper, and would go on like that when it has grown, until the table is analyzed.
  for (const plan of ['seqscan', 'hashjoin', 'mergejoin']) {
    await client.query(`alter role ${name} set enable_${plan} = off`);
  }
}
