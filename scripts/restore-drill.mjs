// Proves that a backup restores and serves: `node scripts/restore-drill.mjs --help`. It works in a database that it
// makes on a spare server and drops in the end; on the server that is backed up it only reads.
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { buildIfStale } from './build.mjs';
import { readAnOrder, serve } from './restore-drill-service.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const require = createRequire(import.meta.url);
const main = join(root, 'dist/src/main.js');

const USAGE = `usage: restore-drill (--dump FILE | --from URL) --server URL [--keep]

  --dump FILE    a dump of the service's database, made by pg_dump --format=custom
  --from URL     make the dump now; a superuser's URL, or one of a role with BYPASSRLS
  --server URL   a superuser's URL on a spare server, of the same or a newer major version of PostgreSQL
  --keep         leave the restored database there

pg_dump and pg_restore are taken from PATH, or from the folder PG_BIN. With ENCRYPTION_KEYS and JWT_SECRET set as in
production, it also proves that they open the webhook secrets in the dump.
`;

/** A fault for the operator; every other thrown error is a bug of this script. */
class DrillFailed extends Error {}

const seconds = (since) => `${((performance.now() - since) / 1000).toFixed(1)} s`;
const say = (line) => process.stdout.write(`${line}\n`);

/** Runs a step, and prints its duration; its return value is its finding. */
async function step(name, work) {
  const began = performance.now();
  try {
    const found = await work();
    say(`${name}: ${found.text} (${seconds(began)})`);
    return found.value;
  } catch (error) {
    throw new DrillFailed(`${name}: ${error.message}`, { cause: error });
  }
}

/**
 * Runs a program of PostgreSQL and returns its output. The environment carries the URL: arguments are visible to every
 * user of the machine.
 */
function postgres(program, args, url) {
  const { username, password, hostname, port, pathname, searchParams } = new URL(url);
  const env = {
    ...process.env,
    PGHOST: hostname,
    PGPORT: port || '5432',
    PGUSER: decodeURIComponent(username),
    PGPASSWORD: decodeURIComponent(password),
    PGDATABASE: decodeURIComponent(pathname.slice(1)),
    ...(searchParams.has('sslmode') ? { PGSSLMODE: searchParams.get('sslmode') } : {}),
    ...(searchParams.has('sslrootcert') ? { PGSSLROOTCERT: searchParams.get('sslrootcert') } : {}),
  };
  const path = process.env.PG_BIN ? join(process.env.PG_BIN, program) : program;
  const options = { env, encoding: 'utf8', maxBuffer: 64 * 1024 ** 2 };
  const { status, stdout, stderr, error } = spawnSync(path, args, options);
  if (error) throw new Error(`${program} cannot be run (${error.code}); install PostgreSQL's client, or set PG_BIN`);
  if (status !== 0) throw new Error(stderr.trim() || `${program} ended with ${status}`);
  return stdout;
}

async function withClient(url, work) {
  const client = new pg.Client({ connectionString: url, application_name: 'restore-drill' });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

function withDatabase(url, name) {
  const changed = new URL(url);
  changed.pathname = `/${name}`;
  return changed.href;
}

/** The roles that the policies and grants in a dump name: they belong to a server, so that a dump has none. */
async function makeRoles(server, file) {
  const schema = postgres('pg_restore', ['--schema-only', '--no-owner', '--file=-', file], server);
  const grantees = [
    ...[...schema.matchAll(/^GRANT .* TO (\w+);$/gm)].map(([, role]) => role),
    ...[...schema.matchAll(/^CREATE POLICY .*? TO ([\w, ]+?)(?: USING| WITH|;)/gm)].flatMap(([, roles]) =>
      roles.split(', '),
    ),
  ];
  const names = [...new Set(grantees)].filter((role) => role !== 'PUBLIC').sort();
  await withClient(server, async (client) => {
    for (const role of names) {
      await client.query(
        `do $$ begin
           if to_regrole('${role}') is null then create role ${role} nologin noinherit; end if;
         exception when duplicate_object or unique_violation then null; end $$`,
      );
    }
  });
  return { text: names.join(', ') };
}

/** Runs a role of the image to its end. */
function run(args, env) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
    env: { PATH: process.env.PATH, ...env },
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error((stderr || stdout).trim());
  return stdout.trim();
}

/** Checks that every table of a tenant has row-level security, and counts rows. */
async function look(url) {
  return withClient(url, async (client) => {
    const { rows: open } = await client.query(
      `select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id'
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
          and not (c.relrowsecurity and c.relforcerowsecurity and exists (select from pg_policy where polrelid = c.oid))`,
    );
    if (open.length > 0) throw new Error(`without row-level security: ${open.map((row) => row.relname).join(', ')}`);
    const { rows } = await client.query(
      `select (select count(*) from tenants)::int as tenants, (select count(*) from orders)::int as orders,
              (select count(*) from events)::int as events, (select count(*) from deliveries)::int as deliveries,
              (select count(*) from memberships)::int as members, (select count(*) from api_keys)::int as keys,
              (select count(*) from audit_log)::int as "audit entries"`,
    );
    const value = rows[0];
    return {
      value,
      text: Object.entries(value)
        .map(([what, count]) => `${count} ${what}`)
        .join(', '),
    };
  });
}

/** Opens every second factor and every signing key of the audit log. */
async function openOthers(client, box) {
  const { totpContext } = require(join(root, 'dist/src/auth/totp/encrypted-secrets.js'));
  const { contextOf } = require(join(root, 'dist/src/audit/folding/signing-key.js'));
  const { rows: factors } = await client.query('select user_id, secret from totp_factors');
  for (const row of factors) box.decryptBytes(row.secret, totpContext(row.user_id));
  const { rows: keys } = await client.query('select id, private_key from audit_keys');
  for (const row of keys) box.decryptBytes(row.private_key, contextOf(row.id));
  return `${factors.length} second factors, ${keys.length} signing keys`;
}

/** Opens every secret with the keys of production. */
async function openSecrets(url, env) {
  const { loadConfig } = require(join(root, 'dist/src/platform/config/config.js'));
  const { secretBoxOf } = require(join(root, 'dist/src/platform/crypto/secret-box.module.js'));
  const { secretContext } = require(join(root, 'dist/src/webhooks/endpoints/endpoint-secrets.js'));
  const box = secretBoxOf(loadConfig(env));
  return withClient(url, async (client) => {
    let opened = 0;
    for (let after = ['00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-000000000000']; ;) {
      const { rows } = await client.query(
        `select tenant_id, id, secret, previous_secret from webhook_endpoints
          where (tenant_id, id) > ($1::uuid, $2::uuid) order by tenant_id, id limit 1000`,
        after,
      );
      for (const row of rows) {
        for (const sealed of [row.secret, row.previous_secret]) {
          if (sealed !== null) box.decrypt(sealed, secretContext(row.tenant_id, row.id));
        }
      }
      opened += rows.length;
      const last = rows.at(-1);
      if (!last) return { text: `the keys open those of ${opened} endpoints, ${await openOthers(client, box)}` };
      after = [last.tenant_id, last.id];
    }
  });
}

async function drill({ dump, from, server, keep }) {
  const began = performance.now();
  const folder = mkdtempSync(join(tmpdir(), 'restore-drill-'));
  const name = `restore_drill_${Date.now()}`;
  const url = withDatabase(server, name);
  const file = dump ?? join(folder, 'orders.dump');
  let made = false;
  try {
    await buildIfStale();
    if (from) {
      await step('dump', () => {
        postgres('pg_dump', ['--format=custom', `--file=${file}`], from);
        return { text: `${(statSync(file).size / 1024 ** 2).toFixed(1)} MiB` };
      });
    } else if (!existsSync(file)) throw new DrillFailed(`there is no file ${file}`);
    await step('database', async () => {
      await withClient(server, (client) => client.query(`create database ${name} template template0`));
      made = true;
      return { text: name };
    });
    await step('roles', () => makeRoles(server, file));
    const restore = ['--no-owner', '--exit-on-error', `--jobs=${cpus().length}`];
    await step('restore', () => {
      postgres('pg_restore', [...restore, `--dbname=${name}`, file], url);
      return { text: `pg_restore ${restore.join(' ')}` };
    });
    // One URL, the superuser's: the password of the server's own app_service is not changed.
    const { JWT_SECRET = randomBytes(32).toString('hex'), ENCRYPTION_KEYS } = process.env;
    const env = { DATABASE_URL: url, JWT_SECRET, ...(ENCRYPTION_KEYS ? { ENCRYPTION_KEYS } : {}) };
    await step('migrate', () => ({ text: run(['migrate', 'apply'], env) }));
    await step('verify', () => ({ text: run(['migrate', 'verify'], env) }));
    await step('content', () => look(url));
    if (process.env.JWT_SECRET || ENCRYPTION_KEYS) await step('secrets', () => openSecrets(url, env));
    else say('secrets: NOT CHECKED, since neither ENCRYPTION_KEYS nor JWT_SECRET is set');
    const serving = () => serve(env, (base) => withClient(url, (client) => readAnOrder(base, client)));
    const hasKeys = process.env.JWT_SECRET || ENCRYPTION_KEYS;
    await step('serve', () => (hasKeys ? serving() : withoutKeys(url, env, serving)));
    say(`The backup restores and serves. All of it took ${seconds(began)}.`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
    if (made && keep) say(`The database ${name} is left there.`);
    else if (made) await withClient(server, (client) => client.query(`drop database ${name} with (force)`));
  }
}

/**
 * The API does not start with other encryption keys than those of the database: for the time of the drill the recorded
 * ones are given up.
 */
async function withoutKeys(url, env, work) {
  const { rows } = await withClient(url, (client) => client.query('select * from encryption_keys'));
  await withClient(url, (client) => client.query('delete from encryption_keys'));
  run(['admin', 'encryption-keys', 'forget', 'jwt'], env);
  const report = await work();
  await withClient(url, async (client) => {
    await client.query('delete from encryption_keys');
    const insert = 'insert into encryption_keys (kid, encrypted, created_at) values ($1, $2, $3)';
    for (const { kid, encrypted, created_at: at } of rows) await client.query(insert, [kid, encrypted, at]);
  });
  return report;
}

let options;
try {
  options = parseArgs({
    options: {
      dump: { type: 'string' },
      from: { type: 'string' },
      server: { type: 'string' },
      keep: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  }).values;
  if (!options.help && (!options.server || !options.dump === !options.from)) throw new Error('see --help');
} catch (error) {
  process.stderr.write(`restore-drill: ${error.message}\n\n${USAGE}`);
  process.exit(2);
}
if (options.help) {
  process.stdout.write(USAGE);
} else {
  await drill(options).catch((error) => {
    process.stderr.write(error instanceof DrillFailed ? `FAILED: ${error.message}\n` : `${error.stack}\n`);
    process.exitCode = 1;
  });
}
