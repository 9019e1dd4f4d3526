import { Client } from 'pg';
import { Order } from '../../../src/orders/order.entity';
import { ConnectionManager } from '../../../src/platform/database/connections/connection-manager';
import { SignInDatabase } from '../../../src/platform/database/roles/sign-in-database';
import type { TransactionSettings } from '../../../src/platform/database/connections/transaction-settings';
import type { Statement } from '../../../src/platform/database/sql/statement';
import { runTransaction, TenantDatabase, type TenantTransaction } from '../../../src/platform/database/tenant-database';
import { Transaction } from '../../../src/platform/database/transaction';
import { expectProblem } from '../../harness/problems';
import { type ApiClient } from '../../harness/client';
import { startService, type TestService } from '../../harness/service';
import { until } from '../../harness/until';

/** The guarantees of a transaction in all of its possible courses. */
describe('transactions', () => {
  let service: TestService;
  let database: TenantDatabase;
  let core: ConnectionManager;
  let tenant: ApiClient;
  let keys = 0;

  beforeAll(async () => {
    // The smallest allowance: one connection for reads, one for pipelined writes, a pool of two.
    service = await startService({ env: { DB_POOL_SIZE: '4' } });
    database = service.app.get(TenantDatabase, { strict: false });
    core = service.app.get(ConnectionManager, { strict: false });
    tenant = await service.tenant();
  });
  afterAll(() => service.stop());

  const scope = () => ({ tenantId: tenant.tenantId });
  const newKey = () => `key-${keys++}`;

  function insertKey(key: string, options: { name?: string; tenantId?: string; text?: string } = {}): Statement {
    return {
      name: options.name ?? 'test_insert_key',
      text:
        options.text ??
        `insert into idempotency_keys (tenant_id, caller, key, request_hash, status, headers, body, created_at, expires_at)
         values ($1, 'test', $2, '', 200, '{}', '', now(), now())`,
      values: [options.tenantId ?? tenant.tenantId, key],
    };
  }
  const failing: Statement = { name: 'test_divide', text: 'select 1 / $1::int', values: [0] };
  const sleeping: Statement = { name: 'test_sleep', text: 'select pg_sleep(30)', values: [] };
  const one: Statement = { name: 'test_one', text: 'select 1 as one', values: [] };

  async function kept(key: string): Promise<boolean> {
    const rows = await service.database.sql('select 1 from idempotency_keys where key = $1', [key]);
    return rows.length > 0;
  }

  async function killBackend(query: string, state = 'active'): Promise<void> {
    await until(`a backend that runs ${query}`, async () => {
      const rows = await service.database.sql(
        `select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid() and query like $1 and state = $2`,
        [`%${query}%`, state],
      );
      return rows.length > 0;
    });
  }

  describe('in one round trip', () => {
    it('keeps all of its statements', async () => {
      const [a, b] = [newKey(), newKey()];
      await database.transaction(scope(), async (tx) => [insertKey(a), insertKey(b)].forEach((s) => tx.defer(s)));
      expect([await kept(a), await kept(b)]).toEqual([true, true]);
    });

    it('keeps nothing when a statement in the middle fails', async () => {
      const [a, b] = [newKey(), newKey()];
      const flight = database.transaction(scope(), async (tx) => {
        [insertKey(a), failing, insertKey(b)].forEach((statement) => tx.defer(statement));
      });
      await expect(flight).rejects.toMatchObject({ code: '22012' });
      expect([await kept(a), await kept(b)]).toEqual([false, false]);
    });

    it('sends all inserts as one statement, behind what was deferred', async () => {
      const [a, b, c] = [newKey(), newKey(), newKey()];
      const last = insertKey(c, {
        name: 'test_insert_third',
        text: insertKey(c).text.replace("'test'", '(select count(*)::text from idempotency_keys where key = $3)'),
      });
      await database.transaction(scope(), async (tx) => {
        tx.insert(insertKey(b), { ...last, values: [...last.values, a] });
        tx.defer(insertKey(a));
      });
      const rows = await service.database.sql('select key, caller from idempotency_keys where key = any($1)', [
        [a, b, c],
      ]);
      // Deferred statements run before the inserts; the inserts have parameters of their own.
      expect(Object.fromEntries(rows.map((row) => [row.key, row.caller]))).toEqual({
        [a]: 'test',
        [b]: 'test',
        [c]: '1',
      });
    });

    it('keeps no insert when one of them fails', async () => {
      const [a, b] = [newKey(), newKey()];
      const twice = database.transaction(scope(), async (tx) => tx.insert(insertKey(a), insertKey(b), insertKey(a)));
      await expect(twice).rejects.toMatchObject({ code: '23505' });
      expect([await kept(a), await kept(b)]).toEqual([false, false]);
    });

    it('has given its locks back when it has failed', async () => {
      const lock = (text: string): Statement => ({ name: `test_lock_${text.length}`, text, values: [] });
      const take = lock('select pg_try_advisory_xact_lock(4711)');
      const taken = lock('select 1 / pg_try_advisory_xact_lock(4711)::int');
      for (let i = 0; i < 200; i++) {
        const flight = database.transaction(scope(), async (tx) => [take, failing].forEach((s) => tx.defer(s)));
        await expect(flight).rejects.toMatchObject({ code: '22012' });
        await database.transaction(scope(), (tx) => tx.query(taken));
      }
    });

    it('does not fail because the transaction before it failed', async () => {
      const name = 'test_first_used_by_a_flight_that_fails';
      const [a, b] = [newKey(), newKey()];
      const [bad, good] = await Promise.allSettled([
        database.transaction(scope(), async (tx) => [failing, insertKey(a, { name })].forEach((s) => tx.defer(s))),
        database.transaction(scope(), async (tx) => tx.defer(insertKey(b, { name }))),
      ]);
      expect(bad).toMatchObject({ status: 'rejected', reason: { code: '22012' } });
      expect(good).toMatchObject({ status: 'fulfilled' });
      expect([await kept(a), await kept(b)]).toEqual([false, true]);
    });

    it('refuses two statements of one name, and keeps nothing', async () => {
      const [a, b] = [newKey(), newKey()];
      const flight = database.transaction(scope(), async (tx) => {
        tx.defer(insertKey(a, { name: 'test_twice' }));
        tx.defer(insertKey(b, { name: 'test_twice', text: `${insertKey(b).text} returning 1` }));
      });
      await expect(flight).rejects.toThrow('two statements are named test_twice');
      expect([await kept(a), await kept(b)]).toEqual([false, false]);
    });

    it.each([
      ['an object', { an: 'object' }],
      ['a list of objects', [{ an: 'object' }]],
      ['a Date that is none', new Date(NaN)],
    ])('refuses %s, which cannot be bound, without an effect on the next transaction', async (_, value) => {
      const [a, b, c] = [newKey(), newKey(), newKey()];
      const [bad, good, read] = await Promise.allSettled([
        database.transaction(scope(), async (tx) => {
          tx.defer(insertKey(a));
          tx.defer({ ...insertKey(b), values: [tenant.tenantId, value as never] });
        }),
        database.transaction(scope(), async (tx) => tx.defer(insertKey(c))),
        database.query(scope(), one),
        database.query(scope(), { ...one, name: 'test_bad_read', text: 'select $1::text', values: [value as never] }),
      ]);
      expect([bad.status, good.status]).toEqual(['rejected', 'fulfilled']);
      expect(read).toEqual({ status: 'fulfilled', value: [{ one: 1 }] });
      expect([await kept(a), await kept(b), await kept(c)]).toEqual([false, false, true]);
      expect(await database.query(scope(), one)).toEqual([{ one: 1 }]);
      await database.transaction(scope(), async (tx) => tx.defer(insertKey(b)));
      expect([await kept(a), await kept(b)]).toEqual([false, true]);
    });

    it('forgets its tenant at its end, however it ends', async () => {
      const orders: Statement = { name: 'test_orders_of_nobody', text: 'select * from orders', values: [] };
      const withoutTenant = core.transactionSettings('app_service', [], true);
      const noTenant = { code: expect.stringMatching(/^(42704|22P02)$/) };
      await database.query(scope(), one);
      await expect(core.query(withoutTenant, orders)).rejects.toMatchObject(noTenant);
      await expect(database.query(scope(), failing)).rejects.toMatchObject({ code: '22012' });
      await expect(core.query(withoutTenant, orders)).rejects.toMatchObject(noTenant);
      // Between others on the one connection for reads, all of which are in flight at once.
      const outcomes = await Promise.allSettled([
        database.query(scope(), one),
        core.query(withoutTenant, orders),
        database.query(scope(), one),
        core.query(withoutTenant, orders),
      ]);
      expect(outcomes.map((outcome) => outcome.status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'rejected']);
    });

    it('cannot write where it only reads', async () => {
      const key = newKey();
      await expect(database.query(scope(), insertKey(key))).rejects.toMatchObject({ code: '25006' });
      expect(await kept(key)).toBe(false);
    });
  });

  describe('whose prologue failed', () => {
    // On a connection of the pool this one is a syntax error: it is refused as a whole, BEGIN included, and later
    // statements are outside any transaction.
    const refusedWhole = (): TransactionSettings => ({ settings: [['no such setting', '']] });
    const failsWithin = (): TransactionSettings => ({
      settings: [
        ['app.tenant_id', tenant.tenantId],
        ['role', 'nobody_at_all'],
      ],
    });

    it.each([
      ['before BEGIN', refusedWhole],
      ['after BEGIN', failsWithin],
    ])('run no statement of a pipelined transaction (%s)', async (_, prologue) => {
      const key = newKey();
      await expect(core.write(prologue(), [insertKey(key)])).rejects.toMatchObject({ code: /^4260[12]$|^22023$/ });
      await expect(
        core.query(prologue(), { ...one, name: 'test_all_orders', text: 'select * from orders' }),
      ).rejects.toThrow();
      expect(await kept(key)).toBe(false);
    });

    it.each([
      ['before BEGIN', refusedWhole],
      ['after BEGIN', failsWithin],
    ])('run no statement on a connection of the pool, and give the cause (%s)', async (_, prologue) => {
      const key = newKey();
      const transaction = runTransaction(new Transaction(core, prologue()), (tx) => tx.query(insertKey(key)));
      await expect(transaction).rejects.toMatchObject({ code: expect.stringMatching(/^4260[12]$|^22023$/) });
      expect(await kept(key)).toBe(false);
      await database.transaction(scope(), (tx) => tx.query(one));
    });
  });

  describe('that hold a connection', () => {
    it('keep nothing when a deferred statement fails', async () => {
      const [a, b] = [newKey(), newKey()];
      const transaction = database.transaction(scope(), async (tx) => {
        await tx.query(insertKey(a));
        [insertKey(b), failing].forEach((statement) => tx.defer(statement));
      });
      await expect(transaction).rejects.toMatchObject({ code: '22012' });
      expect([await kept(a), await kept(b)]).toEqual([false, false]);
    });

    it('keep nothing when the name of a deferred statement has another text', async () => {
      const [a, b] = [newKey(), newKey()];
      const transaction = database.transaction(scope(), async (tx) => {
        await tx.query(insertKey(a));
        tx.defer({ ...insertKey(b), text: 'select 2' });
      });
      await expect(transaction).rejects.toThrow('two statements are named test_insert_key');
      expect(await kept(a)).toBe(false);
    });

    it('keep nothing when the work throws', async () => {
      const key = newKey();
      const transaction = database.transaction(scope(), async (tx) => {
        await tx.query(insertKey(key));
        tx.defer(insertKey(newKey()));
        throw new Error('changed my mind');
      });
      await expect(transaction).rejects.toThrow('changed my mind');
      expect(await kept(key)).toBe(false);
    });

    it('do not pretend to have committed when the work swallowed an error', async () => {
      const key = newKey();
      const transaction = database.transaction(scope(), async (tx) => {
        await tx.query(insertKey(key));
        await tx.query(failing).catch(() => undefined);
      });
      await expect(transaction).rejects.toThrow('the transaction was rolled back');
      expect(await kept(key)).toBe(false);
    });

    it('refuse to be used after their end', async () => {
      let ended: TenantTransaction | undefined;
      await database.transaction(scope(), async (tx) => {
        ended = tx;
        await tx.query(one);
      });
      const late = ended as TenantTransaction;
      // Its connection now serves another tenant: a late statement would run there.
      const other = await service.tenant();
      await database.transaction({ tenantId: other.tenantId }, async (tx) => {
        await tx.query(one);
        await expect(late.query(one)).rejects.toThrow('the transaction has ended');
        await expect(late.repository(Order).find()).rejects.toThrow('the transaction has ended');
        expect(() => late.defer(one)).toThrow('the transaction has ended');
      });
    });

    it('join one of the same tenant, and refuse one of another', async () => {
      const key = newKey();
      await database.transaction(scope(), (tx) => tx.transaction(scope(), (same) => same.query(insertKey(key))));
      expect(await kept(key)).toBe(true);
      const other = await service.tenant();
      const work = jest.fn();
      const nested = database.transaction(scope(), (tx) => tx.transaction({ tenantId: other.tenantId }, work));
      await expect(nested).rejects.toThrow('a transaction of one tenant cannot contain one of another');
      expect(work).not.toHaveBeenCalled();
    });

    it('refuse a tenant that is no UUID before anything is sent', async () => {
      for (const tenantId of ['', "x'; reset role; --", tenant.tenantId.toUpperCase(), `${tenant.tenantId}\n`]) {
        await expect(database.transaction({ tenantId }, (tx) => tx.query(one))).rejects.toThrow(
          'not a lower-case UUID',
        );
        expect(() => database.query({ tenantId }, one)).toThrow('not a lower-case UUID');
      }
    });

    it('give their connections back clean, however they end', async () => {
      const endings: ((tx: TenantTransaction) => Promise<unknown>)[] = [
        (tx) => tx.query(failing),
        (tx) => tx.query(one).then(() => Promise.reject(new Error('thrown'))),
        (tx) => tx.query(one).then(() => tx.defer(failing)),
        (tx) => tx.query(failing).catch(() => undefined),
        (tx) => tx.repository(Order).query('select 1 / 0'),
        (tx) => Promise.all([tx.query(failing), tx.query(one), tx.query(failing)]),
      ];
      const runs = Array.from({ length: 60 }, (_, at) => endings[at % endings.length] as (typeof endings)[number]);
      const outcomes = await Promise.allSettled(runs.map((ending) => database.transaction(scope(), ending)));
      expect(outcomes.filter((outcome) => outcome.status === 'fulfilled')).toEqual([]);
      const settings = await Promise.all(
        Array.from({ length: 8 }, () =>
          service.app.get(SignInDatabase, { strict: false }).transaction({}, (tx) =>
            tx.query({
              name: 'test_settings',
              text: `select current_user as role, coalesce(current_setting('app.tenant_id', true), '') as tenant`,
              values: [],
            }),
          ),
        ),
      );
      expect(new Set(settings.map(([row]) => JSON.stringify(row)))).toEqual(
        new Set(['{"role":"app_sign_in","tenant":""}']),
      );
      // Other work of the service may use a connection for a moment; a broken transaction would hold one for good.
      await until('no connection is busy', async () => {
        const [left] = await service.database.sql(
          `select count(*) filter (where state <> 'idle')::int as busy, count(*)::int <= 4 as within
             from pg_stat_activity where datname = current_database() and usename = 'app_service'`,
        );
        expect(left?.within).toBe(true);
        return left?.busy === 0;
      });
    });
  });

  describe('whose connection is killed', () => {
    it('are unavailable, and the next one is not (a read)', async () => {
      const read = database.query(scope(), sleeping);
      await Promise.all([expect(read).rejects.toMatchObject({ code: 'unavailable' }), killBackend('pg_sleep')]);
      expect(await database.query(scope(), one)).toEqual([{ one: 1 }]);
    });

    it('are unavailable, keep nothing, and the next one is kept (a pipelined write)', async () => {
      const [a, b] = [newKey(), newKey()];
      const flight = database.transaction(scope(), async (tx) => [insertKey(a), sleeping].forEach((s) => tx.defer(s)));
      await Promise.all([expect(flight).rejects.toMatchObject({ code: 'unavailable' }), killBackend('pg_sleep')]);
      await database.transaction(scope(), async (tx) => tx.defer(insertKey(b)));
      expect([await kept(a), await kept(b)]).toEqual([false, true]);
    });

    it.each([
      ['a statement', (tx: TenantTransaction) => tx.query(sleeping)],
      ['a repository', (tx: TenantTransaction) => tx.repository(Order).query(sleeping.text)],
    ])('are unavailable, and the next one is not (%s)', async (_, ask) => {
      const transaction = database.transaction(scope(), ask);
      await Promise.all([expect(transaction).rejects.toMatchObject({ code: 'unavailable' }), killBackend('pg_sleep')]);
      expect(await database.transaction(scope(), (tx) => tx.query(one))).toEqual([{ one: 1 }]);
    });

    it('are unavailable when it happens between two statements', async () => {
      const key = newKey();
      const transaction = database.transaction(scope(), async (tx) => {
        await tx.query(insertKey(key));
        await killBackend('insert into idempotency_keys', 'idle in transaction');
        await new Promise((resolve) => setTimeout(resolve, 50));
        await tx.query(one);
      });
      await expect(transaction).rejects.toMatchObject({ code: 'unavailable' });
      expect(await kept(key)).toBe(false);
    });

    it('respond with 503 with Retry-After over HTTP, and the request sent again succeeds', async () => {
      const order = await tenant.createOrder();
      const blocker = new Client({ connectionString: service.database.ownerUrl });
      await blocker.connect();
      await blocker.query('begin');
      await blocker.query('select 1 from orders where id = $1 for update', [order.id]);
      const change = tenant.patch(`/orders/${order.id}`, { notes: 'changed' });
      await killBackend('o.id = $2 for update');
      const response = await change;
      expectProblem(response, 'unavailable');
      expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
      await blocker.query('rollback');
      await blocker.end();
      expect((await tenant.patch(`/orders/${order.id}`, { notes: 'changed' })).status).toBe(200);
    });

    it('recover when every connection is killed at once', async () => {
      await service.database.sql(
        `select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and usename = 'app_service'`,
      );
      const responses = await Promise.all(Array.from({ length: 20 }, () => tenant.get('/orders')));
      for (const response of responses) if (response.status !== 200) expectProblem(response, 'unavailable');
      await until('an order is made', async () => (await tenant.post('/orders', {})).status === 422, 5_000);
      await until('a list is read', async () => (await tenant.get('/orders')).status === 200, 5_000);
      await tenant.createOrder();
    });
  });

  it('continues when a migration changes the type of a column under a prepared statement', async () => {
    const statement: Statement = {
      name: 'test_status_of_key',
      text: 'select status from idempotency_keys where tenant_id = $1',
      values: [tenant.tenantId],
    };
    const read = () => database.query(scope(), statement);
    const ask = () => database.transaction(scope(), (tx) => tx.query(statement));
    await Promise.all([read(), ask(), ask()]);
    for (const type of ['integer', 'smallint']) {
      await service.database.sql(`alter table idempotency_keys alter column status type ${type}`);
      await read();
      // A transaction with its own connection is not retried for its caller, but the connection is not used again.
      for (let connections = 0; connections < 2; connections++) await Promise.allSettled([ask(), ask()]);
      await Promise.all([ask(), ask()]);
    }
  });

  it('responds with 503 for a row that stays locked', async () => {
    const key = newKey();
    await database.transaction(scope(), async (tx) => tx.defer(insertKey(key)));
    const lock: Statement = {
      name: 'test_lock_key',
      text: 'select 1 from idempotency_keys where tenant_id = $1 and key = $2 for update',
      values: [tenant.tenantId, key],
    };
    await database.transaction(scope(), async (tx) => {
      await tx.query(lock);
      const impatient = database.transaction(scope(), async (second) => {
        await second.query({ name: 'test_lock_timeout', text: `set local lock_timeout = '20ms'`, values: [] });
        await second.query(lock);
      });
      await expect(impatient).rejects.toMatchObject({ code: 'unavailable' });
    });
  });

  it('has timeouts by its role', async () => {
    const settings = await database.query(scope(), {
      name: 'test_timeouts',
      text: `select current_setting('statement_timeout') as statement, current_setting('lock_timeout') as lock,
                    current_setting('idle_in_transaction_session_timeout') as idle`,
      values: [],
    });
    expect(settings).toEqual([{ statement: '15s', lock: '5s', idle: '30s' }]);
  });
});
