import { createTestDatabase, type TestDatabase } from '../../harness/databases';
import { readGolden, renewCommand, renewing, writeGolden } from '../../harness/golden';
import { tablesOf } from '../../harness/tenant-rows';

const GOLDEN = 'tenancy-exceptions.json';
const NO_REASON_YET = '(no reason given)';
const BARE_RULE = "(tenant_id = (current_setting('app.tenant_id'::text))::uuid)";

interface Policy extends Record<string, unknown> {
  name: string;
  table: string;
  permissive: boolean;
  command: string;
  roles: string;
  using: string | null;
  check: string | null;
}

/** The isolation of tenants, read from the catalogue: the actual result of the migrations. */
describe('the catalogue', () => {
  let database: TestDatabase;
  let tenantTables: string[];

  beforeAll(async () => {
    database = await createTestDatabase();
    tenantTables = await tablesOf(database);
  });
  afterAll(() => database.drop());

  function policies(): Promise<Policy[]> {
    return database.sql<Policy>(
      `select p.polname as name, p.polrelid::regclass::text as table, p.polpermissive as permissive,
              case p.polcmd when '*' then 'all' when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update'
                            when 'd' then 'delete' end as command,
              (select string_agg(case r when 0 then 'public' else r::regrole::text end, ', ' order by r)
                 from unnest(p.polroles) r) as roles,
              pg_get_expr(p.polqual, p.polrelid) as using, pg_get_expr(p.polwithcheck, p.polrelid) as check
         from pg_policy p order by 2, 1`,
    );
  }

  /** A policy that shows the serving role the rows of its tenant. */
  function isBare(policy: Policy): boolean {
    return (
      policy.roles === 'app_service' &&
      policy.command === 'all' &&
      policy.permissive &&
      policy.using === BARE_RULE &&
      policy.check === BARE_RULE
    );
  }

  it('has tables of tenants to look at', () => {
    expect(tenantTables).toEqual(expect.arrayContaining(['memberships', 'order_items', 'orders', 'sessions']));
  });

  it('has row-level security enabled and forced on every table, with listed exceptions', async () => {
    const open = await database.sql(
      `select c.relname as name, c.relrowsecurity as enabled, c.relforcerowsecurity as forced from pg_class c
        where c.relname = any ($1) and c.relnamespace = 'public'::regnamespace
          and not (c.relrowsecurity and c.relforcerowsecurity)`,
      [tenantTables],
    );
    expect(open).toEqual([]);
  });

  it('has one bare policy per table of tenants for the role that serves requests', async () => {
    const all = await policies();
    for (const table of tenantTables) {
      const ofService = all.filter((policy) => policy.table === table && /app_service|public/.test(policy.roles));
      expect(ofService.map((policy) => ({ ...policy, bare: isBare(policy) }))).toEqual([
        expect.objectContaining({ table, bare: true }),
      ]);
    }
  });

  it('has no policy with a subquery: Citus would not take it', async () => {
    const texts = (await policies()).flatMap((policy) => [policy.using, policy.check]).filter((text) => text !== null);
    expect(texts.length).toBeGreaterThan(0);
    expect(texts.filter((text) => /\bselect\b/i.test(text))).toEqual([]);
  });

  it('begins every primary key, unique constraint and foreign key of a tenant’s table with tenant_id', async () => {
    interface Key extends Record<string, unknown> {
      table: string;
      name: string;
      type: 'p' | 'u' | 'x' | 'f';
      first: string;
      parent: string;
      parent_first: string | null;
    }
    const keys = await database.sql<Key>(
      `select k.conrelid::regclass::text as table, k.conname as name, k.contype as type,
              (select attname from pg_attribute where attrelid = k.conrelid and attnum = k.conkey[1]) as first,
              (select attname from pg_attribute where attrelid = k.confrelid and attnum = k.confkey[1]) as parent_first,
              k.confrelid::regclass::text as parent
         from pg_constraint k
        where k.conrelid::regclass::text = any ($1) and k.contype in ('p', 'u', 'x', 'f')`,
      [tenantTables],
    );
    for (const table of tenantTables) {
      expect(keys.filter((key) => key.table === table && key.type === 'p')).toHaveLength(1);
    }
    const wrong = keys.filter(
      (key) =>
        // To a table of tenants with the tenant on both sides; to `tenants` by its id; to `users` by anything.
        !(key.type === 'f' && key.parent === 'users') &&
        (key.first !== 'tenant_id' ||
          (key.type === 'f' && key.parent_first !== (key.parent === 'tenants' ? 'id' : 'tenant_id'))),
    );
    expect(wrong).toEqual([]);
  });

  it('has no column named tenant_id that may be null or is another type', async () => {
    const wrong = await database.sql(
      `select attrelid::regclass::text as table from pg_attribute
        where attname = 'tenant_id' and attrelid::regclass::text = any ($1)
          and (not attnotnull or atttypid <> 'uuid'::regtype)`,
      [tenantTables],
    );
    expect(wrong).toEqual([]);
  });

  it('gives the service’s roles no power beside their grants', async () => {
    const roles = await database.sql(
      `select rolname as name from pg_roles
        where rolname ~ '^app_' and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication or rolinherit)`,
    );
    expect(roles).toEqual([]);
    const owned = await database.sql(
      `select d.classid::regclass::text as catalogue, d.objid, d.refobjid::regrole::text as owner from pg_shdepend d
        where d.deptype = 'o' and d.refclassid = 'pg_authid'::regclass and d.refobjid::regrole::text ~ '^app_'
          and d.dbid in (0, (select oid from pg_database where datname = current_database()))`,
    );
    expect(owned).toEqual([]);
    const [creates] = await database.sql(
      `select bool_or(has_schema_privilege(oid, 'public', 'create')) as any from pg_roles where rolname ~ '^app_'`,
    );
    expect(creates).toEqual({ any: false });
  });

  it('lets the service’s login take on the narrow roles and inherit none of them', async () => {
    const memberships = await database.sql<{ role: string; inherit: boolean; admin: boolean }>(
      `select m.roleid::regrole::text as role, coalesce((to_jsonb(m) ->> 'inherit_option')::boolean, r.rolinherit) as inherit,
              m.admin_option as admin
         from pg_auth_members m join pg_roles r on r.oid = m.member where m.member = 'app_service'::regrole`,
    );
    expect(memberships.map((membership) => membership.role)).toEqual(
      expect.arrayContaining(['app_sign_in', 'app_janitor']),
    );
    expect(memberships.filter((membership) => membership.inherit || membership.admin)).toEqual([]);
    // Only the owner of the tables has the operator's role.
    expect(memberships.map((membership) => membership.role)).not.toContain('app_operator');
    const foreign = await database.sql(
      `select roleid::regrole::text as role, member::regrole::text as member from pg_auth_members
        where member::regrole::text ~ '^app_' and member <> 'app_service'::regrole
           or member = 'app_service'::regrole and roleid::regrole::text !~ '^app_'`,
    );
    expect(foreign).toEqual([]);
  });

  it('has no view that runs as its owner, no function that does, and no rule or trigger', async () => {
    const views = await database.sql(
      `select c.relname as name from pg_class c
        where c.relnamespace = 'public'::regnamespace
          and (c.relkind = 'm' or c.relkind = 'v' and not coalesce(c.reloptions::text, '') ~ 'security_invoker=(true|on|1)')`,
    );
    expect(views).toEqual([]);
    const functions = await database.sql(
      `select proname as name from pg_proc where pronamespace = 'public'::regnamespace and prosecdef`,
    );
    expect(functions).toEqual([]);
    const triggers = await database.sql(
      `select tgname as name from pg_trigger where not tgisinternal
       union all select rulename from pg_rewrite where ev_class >= 16384 and rulename <> '_RETURN'`,
    );
    expect(triggers).toEqual([]);
  });

  it('grants nothing to everyone, and no role more than to read and write rows', async () => {
    const grants = await database.sql<{ grantee: string; privilege: string; grantable: boolean; table: string }>(
      `select c.relname as table, case a.grantee when 0 then 'public' else a.grantee::regrole::text end as grantee,
              lower(a.privilege_type) as privilege, a.is_grantable as grantable
         from pg_class c, aclexplode(c.relacl) a
        where c.relnamespace = 'public'::regnamespace and a.grantee <> c.relowner`,
    );
    expect(grants.length).toBeGreaterThan(0);
    const tooMuch = grants.filter(
      (grant) =>
        grant.grantable ||
        !grant.grantee.startsWith('app_') ||
        !['select', 'insert', 'update', 'delete'].includes(grant.privilege),
    );
    expect(tooMuch).toEqual([]);
  });

  it('departs from the rule only where the golden list has a reason', async () => {
    const found = await exceptions();
    const golden = JSON.parse(readGolden(GOLDEN) || '{}') as Record<string, string>;
    if (renewing) {
      const renewed = Object.fromEntries(found.map((exception) => [exception, golden[exception] ?? NO_REASON_YET]));
      writeGolden(GOLDEN, `${JSON.stringify(renewed, null, 2)}\n`);
      return;
    }
    const lines = [
      ...found.filter((exception) => !(exception in golden)).map((exception) => `not listed:   ${exception}`),
      ...Object.keys(golden)
        .filter((exception) => !found.includes(exception))
        .map((exception) => `not there:    ${exception}`),
      ...Object.entries(golden)
        .filter(([, reason]) => reason === '' || reason === NO_REASON_YET)
        .map(([exception]) => `needs reason: ${exception}`),
    ];
    if (lines.length > 0) {
      throw new Error(
        `test/golden/${GOLDEN} and the migrated database differ:\n  ${lines.join('\n  ')}\n` +
          `Where that is meant, renew the list, then write down the reason of each new exception:\n  ${renewCommand()}`,
      );
    }
  });

  /**
   * Everything that departs from "a tenant_id, forced row-level security, one bare policy, keys that begin with it".
   */
  async function exceptions(): Promise<string[]> {
    const tables = (await tablesOf(database, 'all')).filter((table) => !tenantTables.includes(table));
    const open = await database.sql<{ name: string }>(
      `select relname as name from pg_class where relname = any ($1) and relnamespace = 'public'::regnamespace
          and not (relrowsecurity and relforcerowsecurity)`,
      [tables],
    );
    const others = (await policies()).filter((policy) => !(tenantTables.includes(policy.table) && isBare(policy)));
    const indexes = await database.sql<{ definition: string }>(
      `select pg_get_indexdef(i.indexrelid) as definition from pg_index i
        where i.indrelid::regclass::text = any ($1)
          and coalesce((select attname from pg_attribute where attrelid = i.indrelid and attnum = i.indkey[0]), '') <> 'tenant_id'`,
      [tenantTables],
    );
    const grants = await database.sql<{ grantee: string; table: string; privileges: string }>(
      `select grantee::regrole::text as grantee, relname as table,
              string_agg(lower(privilege), ', ' order by privilege) as privileges
         from (select c.relname, a.grantee, a.privilege_type as privilege from pg_class c, aclexplode(c.relacl) a
                where c.relnamespace = 'public'::regnamespace
               union all
               select c.relname, a.grantee,
                      a.privilege_type || ' (' || string_agg(t.attname, ', ' order by t.attnum) || ')'
                 from pg_class c join pg_attribute t on t.attrelid = c.oid, aclexplode(t.attacl) a
                where c.relnamespace = 'public'::regnamespace group by c.relname, a.grantee, a.privilege_type) granted
        where grantee::regrole::text ~ '^app_' and (grantee <> 'app_service'::regrole or not relname = any ($1))
        group by 1, 2`,
      [tenantTables],
    );
    return [
      ...tables.map((table) => `table ${table} has no tenant_id`),
      ...open.map(({ name }) => `table ${name} has no row-level security`),
      ...others.map(
        (policy) =>
          `policy ${policy.name} on ${policy.table} for ${policy.command} to ${policy.roles}` +
          `${policy.using === null ? '' : ` using ${policy.using}`}${policy.check === null ? '' : ` with check ${policy.check}`}`,
      ),
      ...indexes.map(({ definition }) => definition.replace('public.', '')),
      ...grants.map((grant) => `grant ${grant.privileges} on ${grant.table} to ${grant.grantee}`),
    ].sort();
  }
});
