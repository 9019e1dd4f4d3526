import { randomBytes } from 'node:crypto';
import { Client } from 'pg';

export const TEMPLATE = 'orders_test_template';
export const SERVICE_PASSWORD = 'service-password-of-the-tests';

/**
 * The service raises an epoch with every change that affects credentials; a test that changes rows by hand must do it
 * too.
 */
const CHANGES_ACCESS = /\b(update|delete from)\s+(memberships|sessions|tenants)\b/i;
const RAISE_EPOCHS = `
  do $$ begin
    if to_regclass('tenant_auth_state') is null then return; end if;
    insert into tenant_auth_state (tenant_id, user_id, epoch)
      select id, '00000000-0000-0000-0000-000000000000', 1 from tenants
      on conflict (tenant_id, user_id) do update set epoch = tenant_auth_state.epoch + 1;
  end $$`;

/** A database of its own for a test file. */
export interface TestDatabase {
  name: string;
  /** As the service logs in: `app_service`. */
  serviceUrl: string;
  /** As the owner, a superuser, to see past row-level security. */
  ownerUrl: string;
  /** Runs SQL as the owner, past row-level security. */
  sql<R extends Record<string, unknown>>(text: string, values?: unknown[]): Promise<R[]>;
  drop(): Promise<void>;
}

export function withDatabase(url: string, name: string): string {
  const changed = new URL(url);
  changed.pathname = `/${name}`;
  return changed.href;
}

export function withLogin(url: string, user: string, password: string): string {
  const changed = new URL(url);
  changed.username = user;
  changed.password = password;
  return changed.href;
}

/** The same URL, without the recorder of statements if there is one (`npm run record:statements`). */
function recorded(url: string): string {
  const port = process.env.TEST_RECORDER_PORT;
  if (!port) return url;
  const changed = new URL(url);
  changed.host = `127.0.0.1:${port}`;
  return changed.href;
}

export function adminUrl(): string {
  const url = process.env.TEST_ADMIN_URL;
  if (!url) throw new Error('the global setup has not run');
  return url;
}

/** A migrated database, cloned from the template. */
export function createTestDatabase(): Promise<TestDatabase> {
  return createDatabase(TEMPLATE);
}

/** A database with nothing in it, for suites that migrate. */
export function createEmptyDatabase(): Promise<TestDatabase> {
  return createDatabase('template0');
}

async function createDatabase(template: string): Promise<TestDatabase> {
  const name = `orders_test_${randomBytes(6).toString('hex')}`;
  const admin = new Client({ connectionString: adminUrl() });
  await admin.connect();
  // Cloning needs exclusive use of the template: workers take turns.
  await admin.query('select pg_advisory_lock(4711)');
  await admin.query(`create database ${name} template ${template}`);
  await admin.query('select pg_advisory_unlock(4711)');
  await admin.end();
  const ownerUrl = withDatabase(adminUrl(), name);
  const owner = new Client({ connectionString: ownerUrl });
  owner.on('error', () => undefined); // suites that restart the server see their own errors
  await owner.connect();
  return {
    name,
    ownerUrl,
    serviceUrl: withLogin(recorded(ownerUrl), 'app_service', SERVICE_PASSWORD),
    async sql<R extends Record<string, unknown>>(text: string, values: unknown[] = []) {
      const { rows } = await owner.query<R>(text, values);
      if (CHANGES_ACCESS.test(text)) await owner.query(RAISE_EPOCHS);
      return rows;
    },
    async drop() {
      await owner.end();
      const last = new Client({ connectionString: adminUrl() });
      await last.connect();
      await last.query(`drop database if exists ${name} with (force)`);
      await last.end();
    },
  };
}
