import { randomUUID } from 'node:crypto';
import { Client, type QueryResult } from 'pg';
import { firstIdAt, newTimedId } from '../../../src/platform/ids/ids';
import { createTestDatabase, type TestDatabase } from '../../harness/databases';
import { fillTenant, tablesOf } from '../../harness/tenant-rows';

type Filled = Awaited<ReturnType<typeof fillTenant>>;

/** PostgreSQL's errors for a missing privilege, and for a row that its policy refuses. */
const REFUSED = '42501';
/** A setting that never existed, and one that a transaction has left empty. */
const NO_TENANT = /^(42704|22P02)$/;
const PRIVILEGES = ['select', 'insert', 'update', 'delete'] as const;

/** The second defence, by hand: SQL without any condition of the application, as the roles of its logins. */
describe('behind the application', () => {
  let database: TestDatabase;
  let tables: string[];
  let mine: Filled;
  let theirs: Filled;
  let service: Client;

  beforeAll(async () => {
    database = await createTestDatabase();
    tables = await tablesOf(database);
    service = await connect();
    mine = await fillTenant(database);
    theirs = await fillTenant(database);
  });
  afterAll(async () => {
    await service.end();
    await database.drop();
  });
  afterEach(() => service.query('rollback'));

  async function connect(): Promise<Client> {
    const client = new Client({ connectionString: database.serviceUrl });
    await client.connect();
    return client;
  }

  /** Begins a transaction as the service does. */
  async function begin(settings: Record<string, string> = {}, role?: string): Promise<void> {
    await service.query('begin');
    if (role) await service.query(`set local role ${role}`);
    for (const [name, value] of Object.entries(settings)) await service.query(`set local ${name} = '${value}'`);
  }
  const asMe = () => begin({ 'app.tenant_id': mine.tenantId });

  /** The SQLSTATE of the failed statement, or its result; the transaction continues. */
  async function attempt(text: string, values: unknown[] = []): Promise<string | QueryResult> {
    await service.query('savepoint attempt');
    try {
      return await service.query(text, values);
    } catch (error) {
      await service.query('rollback to savepoint attempt');
      return (error as { code: string }).code;
    }
  }

  async function granted(table: string, role = 'app_service'): Promise<Set<string>> {
    const rows = await database.sql<{ privilege: string }>(
      `select p as privilege from unnest($1::text[]) p where has_any_column_privilege($2, $3, p)
        union select 'delete' where has_table_privilege($2, $3, 'delete')`,
      [PRIVILEGES.filter((privilege) => privilege !== 'delete'), role, table],
    );
    return new Set(rows.map((row) => row.privilege));
  }

  async function countOf(table: string, tenantId: string): Promise<number> {
    const column = table === 'tenants' ? 'id' : 'tenant_id';
    const [row] = await database.sql<{ count: number }>(
      `select count(*)::int as count from ${table} where ${column} = $1`,
      [tenantId],
    );
    return (row as { count: number }).count;
  }

  it('has a row of each tenant in every table to look at', async () => {
    for (const table of [...tables, 'tenants']) {
      expect([table, await countOf(table, mine.tenantId), await countOf(table, theirs.tenantId)]).toEqual([
        table,
        1,
        1,
      ]);
    }
  });

  describe('without a tenant', () => {
    const statements = (table: string) => [
      `select * from ${table}`,
      `select count(*) from ${table}`,
      `update ${table} set tenant_id = tenant_id`,
      `delete from ${table}`,
      `insert into ${table} overriding system value select (json_populate_record(null::${table}, '{"tenant_id":"${theirs.tenantId}"}')).*`,
    ];

    it.each([
      ['on a new connection', false],
      ['on one that served a tenant before', true],
    ])('fails on every table, and does not return zero rows (%s)', async (_, used) => {
      const client = await connect();
      try {
        if (used)
          await client.query(`begin; set local app.tenant_id = '${mine.tenantId}'; select 1 from orders; commit`);
        for (const table of tables) {
          for (const statement of statements(table)) {
            const outcome = await client.query(statement).then(
              (result) => `${result.rowCount} rows`,
              (error: { code: string }) => error.code,
            );
            const refused = statement.startsWith('insert') && !(await granted(table)).has('insert');
            expect([statement, outcome]).toEqual([statement, refused ? REFUSED : expect.stringMatching(NO_TENANT)]);
          }
        }
      } finally {
        await client.end();
      }
    });

    it('fails on every table while it is empty, too', async () => {
      const empty = await createTestDatabase();
      const client = new Client({ connectionString: empty.serviceUrl });
      await client.connect();
      try {
        for (const table of tables) {
          for (const statement of [`select * from ${table}`, `select count(*) from ${table}`, `delete from ${table}`]) {
            expect([statement, await client.query(statement).catch((e: { code: string }) => e.code)]).toEqual([
              statement,
              expect.stringMatching(NO_TENANT),
            ]);
          }
        }
      } finally {
        await client.end();
        await empty.drop();
      }
    });

    it('fails where the tenant is empty, null or not a UUID', async () => {
      for (const value of ["''", "'x'", 'default', "'{}'"]) {
        await service.query(`begin; set local app.tenant_id = ${value}`);
        await expect(service.query('select * from orders')).rejects.toMatchObject({
          code: expect.stringMatching(NO_TENANT),
        });
        await service.query('rollback');
      }
    });
  });

  describe('with a tenant', () => {
    it('sees that tenant’s rows alone, in every table', async () => {
      await asMe();
      for (const table of tables) {
        const { rows } = await service.query(`select tenant_id from ${table}`);
        expect([table, rows]).toEqual([table, [{ tenant_id: mine.tenantId }]]);
      }
      expect((await service.query('select id from tenants')).rows).toEqual([{ id: mine.tenantId }]);
    });

    it('sees nothing of another tenant’s when it names it, joins it, or counts it', async () => {
      await asMe();
      for (const table of tables) {
        const named = await service.query(`select 1 from ${table} where tenant_id = $1`, [theirs.tenantId]);
        expect([table, named.rowCount]).toEqual([table, 0]);
      }
      const joined = await service.query(
        'select 1 from orders o right join order_items i on i.tenant_id <> o.tenant_id',
      );
      expect(joined.rows).toHaveLength(1);
      const counted = await service.query('select (select count(*) from orders)::int as orders');
      expect(counted.rows).toEqual([{ orders: 1 }]);
    });

    it('does not let a condition look at another tenant’s rows before the policy has', async () => {
      await asMe();
      const condition = `1 / (case when tenant_id = '${theirs.tenantId}' then 0 else 1 end) = 1`;
      for (const table of tables) {
        expect([table, (await service.query(`select 1 from ${table} where ${condition}`)).rowCount]).toEqual([
          table,
          1,
        ]);
      }
    });

    it('changes and removes that tenant’s rows alone, in every table', async () => {
      await asMe();
      const countOrCode = (outcome: string | QueryResult) => (typeof outcome === 'string' ? outcome : outcome.rowCount);
      for (const table of tables) {
        const updated = countOrCode(await attempt(`update ${table} set tenant_id = tenant_id`));
        expect([table, updated]).toEqual([table, (await granted(table)).has('update') ? 1 : REFUSED]);
      }
      for (const table of tables) {
        const removed = countOrCode(await attempt(`delete from ${table}`));
        // None if the row was deleted with its parent; refused if others still refer to it.
        expect((await granted(table)).has('delete') ? [0, 1, '23503'] : [REFUSED]).toContain(removed);
      }
      await service.query('commit');
      for (const table of [...tables, 'tenants']) {
        expect([table, await countOf(table, theirs.tenantId)]).toEqual([table, 1]);
      }
      expect(await countOf('orders', mine.tenantId)).toBe(0);
      mine = await fillTenant(database);
    });

    it('is refused a row of another tenant, in every table', async () => {
      for (const table of tables) {
        await asMe();
        const row = JSON.stringify(
          (await database.sql(`select to_json(t) as row from ${table} t where tenant_id = $1`, [theirs.tenantId]))[0]
            ?.row,
        );
        const insert = `insert into ${table} overriding system value select (json_populate_record(null::${table}, $1)).*`;
        expect([table, await attempt(insert, [row])]).toEqual([table, REFUSED]);
        expect([table, await attempt(`update ${table} set tenant_id = $1`, [theirs.tenantId])]).toEqual([
          table,
          REFUSED,
        ]);
        await service.query('rollback');
      }
      await asMe();
      expect(await attempt('insert into tenants values ($1, $2, now())', [randomUUID(), 'mine too'])).toBe(REFUSED);
      expect(await attempt('update tenants set suspended_at = null')).toBe(REFUSED);
    });

    it('is refused a key of another tenant that it tries to take over by a conflict', async () => {
      await asMe();
      const order = JSON.stringify(theirs.rows.get('orders'));
      const takeOver = `insert into orders select (json_populate_record(null::orders, $1)).*
        on conflict (tenant_id, id) do update set notes = 'taken over'`;
      expect(await attempt(takeOver, [order])).toBe(REFUSED);
    });

    it('can have the same ids and keys as another tenant, so that a conflict reveals nothing', async () => {
      await asMe();
      for (const table of ['orders', 'idempotency_keys', 'events']) {
        const row = JSON.stringify({ ...theirs.rows.get(table), tenant_id: mine.tenantId });
        const written = await attempt(`insert into ${table} select (json_populate_record(null::${table}, $1)).*`, [
          row,
        ]);
        expect([table, typeof written === 'string' ? written : written.rowCount]).toEqual([table, 1]);
      }
    });

    it('cannot hang a row on another tenant’s order, whatever tenant it names', async () => {
      const order = theirs.rows.get('orders') as { id: string };
      const item = `insert into order_items (tenant_id, order_id, position, id, product_id, product_name, quantity, unit_price)
                    values ($1, $2, 9, $3, 'p', 'p', 1, 1)`;
      await asMe();
      expect(await attempt(item, [mine.tenantId, order.id, randomUUID()])).toBe('23503');
      expect(await attempt(item, [theirs.tenantId, order.id, randomUUID()])).toBe(REFUSED);
      expect(await attempt('update order_items set order_id = $1', [order.id])).toBe('23503');
      // Not even the owner, past every policy.
      await expect(database.sql(item, [mine.tenantId, order.id, randomUUID()])).rejects.toMatchObject({
        code: '23503',
      });
    });

    it('learns nothing from the planner’s statistics', async () => {
      await database.sql('analyze');
      await asMe();
      const { rows } = await service.query('select tablename from pg_stats where tablename = any ($1)', [tables]);
      expect(rows).toEqual([]);
    });

    it.each(['commit', 'rollback'])('forgets the tenant at %s', async (end) => {
      const client = await connect();
      try {
        await client.query(`begin; set local app.tenant_id = '${mine.tenantId}'`);
        expect((await client.query('select 1 from orders')).rowCount).toBe(1);
        await client.query(end);
        await expect(client.query('select 1 from orders')).rejects.toMatchObject({
          code: expect.stringMatching(NO_TENANT),
        });
      } finally {
        await client.end();
      }
    });
  });

  describe('the role that serves requests', () => {
    it('can neither change what there is nor get around it', async () => {
      const refused = [
        'alter table orders disable row level security',
        'alter table orders no force row level security',
        'drop policy orders_of_the_tenant on orders',
        'create policy open on orders using (true)',
        'truncate orders',
        'create table public.mine (id int)',
        'create view public.mine as select * from orders',
        "create function public.mine() returns int language sql as 'select 1'",
        'create trigger mine before insert on orders for each row execute function suppress_redundant_updates_trigger()',
        'create role mine',
        'alter role app_service bypassrls',
        'set role postgres',
        'set session authorization postgres',
        'set session_replication_role = replica',
        'select * from users',
        'select * from sign_in_failures',
        'select rolpassword from pg_authid',
        "copy orders to program 'true'",
        "select pg_read_file('/etc/passwd')",
        'grant select on orders to public',
      ];
      for (const statement of refused) {
        await asMe();
        const outcome = await attempt(statement);
        // A grant without the right to it is a warning, and grants nothing.
        if (statement.startsWith('grant')) {
          const [row] = await database.sql(`select has_table_privilege('public', 'orders', 'select') as open`);
          expect(row).toEqual({ open: false });
        } else {
          expect([statement, outcome]).toEqual([statement, REFUSED]);
        }
        await service.query('rollback');
      }
    });

    it('sees no more with row_security off', async () => {
      await asMe();
      await service.query('set local row_security = off');
      expect(await attempt('select * from orders')).toBe(REFUSED);
    });
  });

  describe('the narrow roles', () => {
    it.each(['app_sign_in', 'app_janitor', 'app_relay', 'app_dispatcher', 'app_members', 'app_key_expiry'])(
      '%s gets at no table but those granted to it',
      async (role) => {
        const others = (await tablesOf(database, 'all')).filter((table) => table !== 'migrations');
        let refused = 0;
        for (const table of others) {
          const may = await granted(table, role);
          await begin({ 'app.tenant_id': mine.tenantId, 'app.user_id': randomUUID() }, role);
          if (!may.has('select'))
            expect([table, await attempt(`select count(*) from ${table}`)]).toEqual([table, REFUSED]);
          if (!may.has('delete')) expect([table, await attempt(`delete from ${table}`)]).toEqual([table, REFUSED]);
          if (!may.has('select')) refused++;
          await service.query('rollback');
        }
        expect(refused).toBeGreaterThan(5);
        for (const table of ['orders', 'order_items', 'order_history', 'refresh_tokens']) {
          expect([table, [...(await granted(table, role))]]).toEqual([table, []]);
        }
      },
    );

    it('app_sign_in sees the memberships of its user, and of no other', async () => {
      const membership = mine.rows.get('memberships') as { user_id: string };
      await begin({}, 'app_sign_in');
      expect(await attempt('select * from memberships')).toMatch(NO_TENANT);
      await service.query('rollback');
      await begin({ 'app.user_id': membership.user_id }, 'app_sign_in');
      const { rows } = await service.query('select tenant_id, user_id from memberships');
      expect(rows).toEqual([{ tenant_id: mine.tenantId, user_id: membership.user_id }]);
      expect(await attempt('update memberships set role = role')).toBe(REFUSED);
    });

    it('app_members reads the addresses of people and the members of one tenant, and changes nothing', async () => {
      const user = mine.rows.get('users') as { id: string; email: string };
      await begin({ 'app.tenant_id': mine.tenantId }, 'app_members');
      const { rows } = await service.query(
        `select m.tenant_id, u.email from memberships m join users u on u.id = m.user_id`,
      );
      expect(rows).toEqual([{ tenant_id: mine.tenantId, email: user.email }]);
      for (const statement of [
        'select password_hash from users',
        'update users set name = name',
        'update memberships set role = role',
        'delete from memberships',
      ]) {
        expect([statement, await attempt(statement)]).toEqual([statement, REFUSED]);
      }
      await service.query('rollback');
      await begin({}, 'app_members');
      expect(await attempt('select * from memberships')).toMatch(NO_TENANT);
      await service.query('rollback');
    });

    it('app_sign_in makes a tenant and its owner only in a transaction bound to them', async () => {
      const [tenantId, user] = [newTimedId().id, mine.rows.get('users') as { id: string }];
      const tenant = `insert into tenants (id, name, created_at) values ($1, 'New', now())`;
      const owner = `insert into memberships (tenant_id, user_id, role, created_at, last_used_at) values ($1, $2, 'owner', now(), now())`;
      await begin({ 'app.tenant_id': tenantId }, 'app_sign_in');
      expect(await attempt(tenant, [randomUUID()])).toBe(REFUSED);
      expect(await attempt(owner, [theirs.tenantId, user.id])).toBe(REFUSED);
      expect(await attempt(tenant, [tenantId])).toMatchObject({ rowCount: 1 });
      expect(await attempt(owner, [tenantId, user.id])).toMatchObject({ rowCount: 1 });
      expect((await service.query('select id from tenants')).rows).toEqual([{ id: tenantId }]);
      // No second member with any role, and none without the mark.
      const stranger = theirs.rows.get('users') as { id: string };
      expect(await attempt(owner, [tenantId, stranger.id])).toBe('23505');
      const unmarked = owner.replace('(tenant_id', '(founder, tenant_id').replace('values (', 'values (false, ');
      expect(await attempt(unmarked, [tenantId, stranger.id])).toBe(REFUSED);
    });

    it('app_sign_in adds no member to a tenant whose founder has left', async () => {
      const stranger = theirs.rows.get('users') as { id: string };
      const owner = `insert into memberships (tenant_id, user_id, role, created_at, last_used_at) values ($1, $2, 'owner', now(), now())`;
      const minute = 60_000;
      const idOf = (ago: number): string => firstIdAt(Date.now() - ago).replace(/0{12}$/, '0000000000f1');
      const attempted: unknown[] = [];
      for (const ago of [0, 6 * minute, 24 * 60 * minute, -6 * minute]) {
        const tenantId = idOf(ago);
        await database.sql(`insert into tenants (id, name, created_at) values ($1, 'Left', now())`, [tenantId]);
        await database.sql(
          `insert into memberships (tenant_id, user_id, role, created_at, last_used_at, founder)
           values ($1, $2, 'owner', now(), now(), true)`,
          [tenantId, stranger.id],
        );
        await database.sql('delete from memberships where tenant_id = $1', [tenantId]);
        await begin({ 'app.tenant_id': tenantId }, 'app_sign_in');
        const made = await attempt(owner, [tenantId, stranger.id]);
        attempted.push(typeof made === 'string' ? made : made.rowCount);
        await service.query('rollback');
        await database.sql('delete from tenants where id = $1', [tenantId]);
      }
      // Registration itself is within the five minutes.
      expect(attempted).toEqual([1, REFUSED, REFUSED, REFUSED]);
    });

    it('app_sign_in does not free the place of the founder of a new tenant', async () => {
      const [tenantId, user] = [newTimedId().id, mine.rows.get('users') as { id: string }];
      const other = theirs.rows.get('users') as { id: string };
      const member = `insert into memberships (tenant_id, user_id, role, created_at, last_used_at, founder) values ($1, $2, 'owner', now(), now(), $3)`;
      await database.sql(`insert into tenants (id, name, created_at) values ($1, 'New', now())`, [tenantId]);
      await database.sql(member, [tenantId, user.id, true]);
      await database.sql(member, [tenantId, other.id, false]);
      try {
        await begin({ 'app.tenant_id': tenantId, 'app.user_id': user.id }, 'app_sign_in');
        const leave = 'delete from memberships where tenant_id = $1 and user_id = $2';
        expect(await attempt(leave, [tenantId, user.id])).toMatchObject({ rowCount: 0 });
        await service.query('rollback');
        await begin({ 'app.tenant_id': tenantId, 'app.user_id': other.id }, 'app_sign_in');
        expect(await attempt(leave, [tenantId, other.id])).toMatchObject({ rowCount: 1 });
        await service.query('rollback');
      } finally {
        await database.sql('delete from memberships where tenant_id = $1', [tenantId]);
        await database.sql('delete from tenants where id = $1', [tenantId]);
      }
    });

    it('app_sign_in reads the tenants of one person, and adds none to a tenant of others', async () => {
      const row = mine.rows.get('user_tenants') as { user_id: string };
      await begin({ 'app.user_id': row.user_id }, 'app_sign_in');
      expect((await service.query('select tenant_id, user_id from user_tenants')).rows).toEqual([row]);
      await service.query('rollback');
      await begin({ 'app.tenant_id': mine.tenantId, 'app.user_id': row.user_id }, 'app_sign_in');
      const add = 'insert into user_tenants (tenant_id, user_id) values ($1, $2)';
      expect(await attempt(add, [theirs.tenantId, row.user_id])).toBe(REFUSED);
      expect(await attempt('update user_tenants set user_id = user_id')).toBe(REFUSED);
      await service.query('rollback');
      for (const role of ['app_members', 'app_relay', 'app_dispatcher', 'app_janitor', 'app_epochs', 'app_mail']) {
        await begin({ 'app.tenant_id': mine.tenantId, 'app.user_id': row.user_id }, role);
        expect([role, await attempt('select * from user_tenants')]).toEqual([role, REFUSED]);
        await service.query('rollback');
      }
    });

    it('app_janitor sees and deletes what has expired, and can change nothing', async () => {
      const session = mine.rows.get('sessions') as { id: string };
      const visible = async () => {
        await begin({}, 'app_janitor');
        const { rows } = await service.query('select id from sessions');
        const deleted = await attempt('delete from sessions where id = $1', [session.id]);
        const changed = await attempt('update sessions set expires_at = now()');
        await service.query('rollback');
        return [
          rows.map((row: { id: string }) => row.id).includes(session.id),
          (deleted as QueryResult).rowCount,
          changed,
        ];
      };
      await database.sql(`update sessions set expires_at = now() + interval '1 minute' where id = $1`, [session.id]);
      expect(await visible()).toEqual([false, 0, REFUSED]);
      await database.sql(`update sessions set expires_at = now() - interval '1 second' where id = $1`, [session.id]);
      expect(await visible()).toEqual([true, 1, REFUSED]);
    });

    it('app_janitor cannot read the data of old events, nor delete young ones', async () => {
      const event = mine.rows.get('events') as { id: string };
      await begin({}, 'app_janitor');
      expect(await attempt('select data from events')).toBe(REFUSED);
      expect(await attempt('delete from events where id = $1', [event.id])).toMatchObject({ rowCount: 0 });
    });

    it('app_janitor sees no delivery and no attempt of the last day, and of older ones nothing but ids', async () => {
      const sight = async (id: string) => {
        const { tenantId } = await fillTenant(database);
        await database.sql('update deliveries set id = $2 where tenant_id = $1', [tenantId, id]);
        await database.sql('update delivery_attempts set delivery_id = $2 where tenant_id = $1', [tenantId, id]);
        const seen: unknown[] = [];
        for (const [table, key] of [
          ['deliveries', 'id'],
          ['delivery_attempts', 'delivery_id'],
        ]) {
          await begin({}, 'app_janitor');
          seen.push((await service.query(`select ${key} from ${table} where tenant_id = $1`, [tenantId])).rowCount);
          expect(await attempt(`delete from ${table} where tenant_id = $1`, [tenantId])).toMatchObject({
            rowCount: seen.at(-1),
          });
          expect(await attempt(`update ${table} set tenant_id = tenant_id`)).toBe(REFUSED);
          expect(await attempt(`select endpoint_id from ${table}`)).toBe(REFUSED);
          await service.query('rollback');
          await database.sql(`delete from ${table} where tenant_id = $1`, [tenantId]);
        }
        return seen;
      };
      const day = 24 * 60 * 60 * 1000;
      expect(await sight(firstIdAt(Date.now() - day + 60_000))).toEqual([0, 0]);
      expect(await sight(firstIdAt(Date.now() - day - 60_000))).toEqual([1, 1]);
    });

    it('app_relay and app_dispatcher discover tenants and read nothing of what they do', async () => {
      await begin({}, 'app_relay');
      const outbox = (await service.query('select tenant_id from outbox')).rows as { tenant_id: string }[];
      expect(outbox.map((row) => row.tenant_id)).toEqual(expect.arrayContaining([mine.tenantId, theirs.tenantId]));
      expect(await attempt('select endpoint_id from outbox')).toBe(REFUSED);
      expect(await attempt('select id from events')).toBe(REFUSED);
      expect(await attempt('delete from outbox')).toBe(REFUSED);
      await service.query('rollback');
      await begin({}, 'app_dispatcher');
      const waiting = (await service.query('select tenant_id from deliveries')).rows as { tenant_id: string }[];
      expect(waiting.map((row) => row.tenant_id)).toEqual(expect.arrayContaining([mine.tenantId, theirs.tenantId]));
      expect(await attempt('select event_id from deliveries')).toBe(REFUSED);
      expect(await attempt('update deliveries set status = status')).toBe(REFUSED);
      await service.query('rollback');
      await database.sql(`update deliveries set status = 'succeeded', next_attempt_at = null where tenant_id = $1`, [
        theirs.tenantId,
      ]);
      await begin({}, 'app_dispatcher');
      expect((await service.query('select tenant_id from deliveries')).rows).toEqual([{ tenant_id: mine.tenantId }]);
    });
  });
});
