/** The rights on the tables of the queue in PostgreSQL: of the service's login, or of a login of their own. */
import type { Client } from 'pg';
import { DB_ROLES } from '../sql/db-roles';

export const QUEUE_SCHEMA = 'bullmq';
/** The login of `QUEUE_DATABASE_URL`. */
export const QUEUE_LOGIN = 'app_queue';

/**
 * Gives the queue's tables to the service's login, and to the queue's own where there is one. From the next run on the
 * service's login can only look whether the tables are there: processes of before, which use them, have the time of a
 * release to be replaced.
 */
export async function ensureQueueLogin(client: Client, url: string | undefined): Promise<void> {
  const hasLogin = await exists(client, QUEUE_LOGIN);
  if (url !== undefined) {
    const { password } = new URL(url);
    const text = password && ` password ${client.escapeLiteral(decodeURIComponent(password))}`;
    await client.query(`${hasLogin ? 'alter' : 'create'} role ${QUEUE_LOGIN} login noinherit${text}`);
    await grantQueue(client, QUEUE_LOGIN);
  }
  if (url === undefined || !hasLogin) return grantQueue(client, DB_ROLES.service);
  await client.query(`revoke create on schema ${QUEUE_SCHEMA} from ${DB_ROLES.service}`);
  for (const { kind, name } of await grantable(client)) {
    await client.query(`revoke all on ${kind} ${name} from ${DB_ROLES.service}`);
    if (kind === 'table') await client.query(`grant select on ${name} to ${DB_ROLES.service}`);
  }
}

async function exists(client: Client, role: string): Promise<boolean> {
  const { rows } = await client.query<{ found: boolean }>('select to_regrole($1) is not null as found', [role]);
  return rows[0]?.found ?? false;
}

async function grantQueue(client: Client, role: string): Promise<void> {
  await client.query(`grant usage, create on schema ${QUEUE_SCHEMA} to ${role}`);
  for (const { kind, name } of await grantable(client)) await client.query(`grant all on ${kind} ${name} to ${role}`);
}

interface QueueObject {
  kind: 'table' | 'sequence';
  name: string;
}

/**
 * The tables and sequences whose rights the owner may give. BullMQ creates sequences at run time, which belong to the
 * login that it had: an owner without superuser rights cannot grant on them.
 */
async function grantable(client: Client): Promise<QueueObject[]> {
  const { rows } = await client.query<QueueObject>(
    `select case relkind when 'S' then 'sequence' else 'table' end as kind, oid::regclass::text as name
       from pg_class
      where relnamespace = to_regnamespace($1) and relkind in ('r', 'p', 'v', 'S')
        and pg_has_role(relowner, 'USAGE')`,
    [QUEUE_SCHEMA],
  );
  return rows;
}
