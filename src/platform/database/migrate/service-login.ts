import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from 'pg';
import { OPERATOR_ROLE, DB_ROLES } from '../sql/db-roles';
import { HAS_CITUS, PLANS_ANEW, PROPAGATES_SETTINGS } from '../sql/citus';
import { ensureQueueLogin, QUEUE_LOGIN } from './queue-login';
import { inTransaction } from '../sql/in-transaction';
import { sessionSettings, settingLiteral } from '../sql/session-settings';
import { IDLE_IN_TRANSACTION_TIMEOUT_MS, lockTimeout } from '../sql/timeouts';

/** The schema of BullMQ's tables. */
const ROLE_ATTEMPTS = 10;

/** The inputs for the service's login. */
export interface ServiceLogin {
  /** The service's own login; if it differs from the owner, it is created or altered. */
  serviceUrl: string;
  /** The login of the sign-in role, if it has one of its own. */
  signInUrl?: string;
  /** The login of the queue in PostgreSQL, where it has one of its own. */
  queueUrl?: string;
  /** Applied to the service's role, milliseconds. */
  statementTimeout: number;
}

/**
 * The service's login is `app_service` itself, or a role that may become it with SET ROLE. It gets its password from
 * the service's URL, never inherits (so that it has the rights of one role at a time), and has bounded timeouts.
 */
export async function ensureLogin(client: Client, options: ServiceLogin): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await inTransaction(client, () => setUpLogin(client, options));
    } catch (error) {
      if (attempt === ROLE_ATTEMPTS || !isRoleRace(error)) throw error;
      await delay(Math.random() * 100 * attempt);
    }
  }
}

/**
 * Roles belong to the cluster and the lock to a database: a migration of another database may change the same role
 * concurrently.
 */
function isRoleRace(error: unknown): boolean {
  const { code, message } = error as { code?: string; message?: string };
  return code === '23505' || code === '42710' || /tuple concurrently (updated|deleted)/.test(message ?? '');
}

async function setUpLogin(client: Client, options: ServiceLogin): Promise<void> {
  const service = new URL(options.serviceUrl);
  const { rows: me } = await client.query<Owner>(
    `select rolname as name, rolsuper as superuser, current_setting('server_version_num')::int as version,
            ${HAS_CITUS} as distributed
       from pg_roles where rolname = current_user`,
  );
  const owner = me[0] as Owner;
  const login = decodeURIComponent(service.username) || owner.name;
  await client.query(`grant select on migrations to ${DB_ROLES.service}`);
  await ensureQueueLogin(client, options.queueUrl);
  const name = client.escapeIdentifier(login);
  const { rows: here } = await client.query<{ name: string; owned: boolean }>(
    `select datname as name, pg_has_role(datdba, 'USAGE') as owned from pg_database where datname = current_database()`,
  );
  const { name: databaseName, owned } = here[0] as { name: string; owned: boolean };
  const database = client.escapeIdentifier(databaseName);
  // Since PostgreSQL 16 inheritance belongs to the grant; before, it belongs to the role, which becomes `noinherit`.
  const withoutInheriting = owner.version >= 160_000 ? ' with inherit false' : '';
  await grantOperatorRole(client, owner, withoutInheriting);
  if (login === owner.name) {
    // The service will log in as the owner and take on its own role in each transaction.
    const roles = Object.values(DB_ROLES).join(', ');
    if (!owner.superuser) await client.query(`grant ${roles} to ${name}${withoutInheriting}`);
    if (owned) await closeDatabase(client, database, [name]);
    return;
  }
  const { rows } = await client.query('select 1 from pg_roles where rolname = $1', [login]);
  // A URL without a password belongs to a login that authenticates in another way: its password is not changed.
  const password = service.password && ` password ${client.escapeLiteral(decodeURIComponent(service.password))}`;
  if (rows.length === 0) await client.query(`create role ${name} login noinherit${password}`);
  else if (login === DB_ROLES.service) await client.query(`alter role ${name} login noinherit${password}`);
  const isSignInApart = options.signInUrl !== undefined && (await setUpSignIn(client, options.signInUrl));
  const others = Object.values(DB_ROLES).filter(
    (role) => role !== login && !(isSignInApart && role === DB_ROLES.signIn),
  );
  await client.query(`grant ${others.join(', ')} to ${name}${withoutInheriting}`);
  if (isSignInApart) await client.query(`revoke ${DB_ROLES.signIn} from ${name}`);
  const logins = [name];
  if (options.signInUrl !== undefined) logins.push(DB_ROLES.signIn);
  if (options.queueUrl !== undefined) logins.push(QUEUE_LOGIN);
  for (const one of logins) await limitLogin(client, one, database, options.statementTimeout);
  if (owner.distributed) await setUpForCitus(client, [name, DB_ROLES.signIn], database);
  if (owned) await closeDatabase(client, database, [...logins, client.escapeIdentifier(owner.name)]);
}

/**
 * Gives the sign-in role a login. From the next run on the service's login cannot take on the role any more: processes
 * of before, which do, have the time of a release to be replaced.
 * @returns whether it had one before
 */
async function setUpSignIn(client: Client, url: string): Promise<boolean> {
  const { rows } = await client.query<{ login: boolean }>(
    'select rolcanlogin as login from pg_roles where rolname = $1',
    [DB_ROLES.signIn],
  );
  const { password } = new URL(url);
  const text = password && ` password ${client.escapeLiteral(decodeURIComponent(password))}`;
  await client.query(`alter role ${DB_ROLES.signIn} login noinherit${text}`);
  return rows[0]?.login ?? false;
}

/** Bounds the duration of a login's statements, and gives it the session settings of the service in this database. */
async function limitLogin(client: Client, name: string, database: string, statementTimeout: number): Promise<void> {
  await client.query(`alter role ${name} set statement_timeout = ${statementTimeout}`);
  await client.query(`alter role ${name} set lock_timeout = ${lockTimeout(statementTimeout)}`);
  await client.query(`alter role ${name} set idle_in_transaction_session_timeout = ${IDLE_IN_TRANSACTION_TIMEOUT_MS}`);
  // A setting of a role in one database has precedence over those of the role and of the database.
  for (const [setting, value] of sessionSettings()) {
    await client.query(`alter role ${name} in database ${database} set ${setting} = ${settingLiteral(value)}`);
  }
  // Every statement of the service uses an index. A prepared statement may be planned while a table is small and a scan
  // looks cheaper; that plan would stay until the table is analyzed.
  for (const plan of ['seqscan', 'hashjoin', 'mergejoin']) {
    await client.query(`alter role ${name} set enable_${plan} = off`);
  }
}

/**
 * The settings of the service's logins for Citus. One connection of a session to each server: a query over all shards
 * otherwise opens several, and closes them again after it. Without a response, the wait ends after the timeout of a
 * statement. The settings of a transaction reach the servers that have its rows. No plan is kept; see
 * {@link PLANS_ANEW}.
 */
async function setUpForCitus(client: Client, logins: readonly string[], database: string): Promise<void> {
  for (const login of logins) {
    await client.query(`alter role ${login} in database ${database} set citus.max_adaptive_executor_pool_size = 1`);
    await client.query(`alter role ${login} in database ${database} set citus.node_connection_timeout = 5000`);
    for (const [name, value] of [PROPAGATES_SETTINGS, PLANS_ANEW]) {
      await client.query(`alter role ${login} in database ${database} set ${name} = ${settingLiteral(value)}`);
    }
  }
}

/**
 * Lets these logins connect, and no other: PostgreSQL lets every login of the cluster connect to a new database. An
 * owner of the tables that does not own the database cannot do this, and leaves it to the database's owner.
 */
async function closeDatabase(client: Client, database: string, logins: readonly string[]): Promise<void> {
  const allowed = [...new Set([...logins, DB_ROLES.service])].join(', ');
  await client.query(`grant connect on database ${database} to ${allowed}`);
  await client.query(`revoke connect on database ${database} from public`);
}

interface Owner {
  name: string;
  superuser: boolean;
  version: number;
  distributed: boolean;
}

/** The operator's commands log in as the owner. The creator of the role may grant it, to itself as well. */
async function grantOperatorRole(client: Client, owner: Owner, withoutInheriting: string): Promise<void> {
  if (owner.superuser) return;
  const { rows } = await client.query<{ may: boolean }>('select pg_has_role($1, $2) as may', [
    OPERATOR_ROLE,
    owner.version >= 160_000 ? 'SET' : 'MEMBER',
  ]);
  if (rows[0]?.may) return;
  await client.query(`grant ${OPERATOR_ROLE} to ${client.escapeIdentifier(owner.name)}${withoutInheriting}`);
}
