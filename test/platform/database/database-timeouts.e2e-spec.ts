import { migrate } from '../../../src/platform/database/migrate/migrations';
import { TenantDatabase } from '../../../src/platform/database/tenant-database';
import { type ApiResponse, type ApiClient, orderInput } from '../../harness/client';
import { TestCluster } from '../../harness/cluster';
import { SERVICE_PASSWORD, type TestDatabase, withLogin } from '../../harness/databases';
import { expectProblem } from '../../harness/problems';
import { until } from '../../harness/until';
import { startService, type TestService } from '../../harness/service';
import { Client } from 'pg';

const STATEMENT_TIMEOUT_MS = 400;

/** Well below the duration of the statement, and above the delays of a busy machine. */
const SOON_MS = 5_000;

describe.each([
  ['a login of its own', 'service'],
  ["the owner's login", 'owner'],
])('PostgreSQL’s timeouts, with %s', (_, login) => {
  let cluster: TestCluster;
  let service: TestService;
  let tenant: ApiClient;
  let owner: Client;

  beforeAll(async () => {
    cluster = await TestCluster.start();
    await cluster.sql('postgres', 'create database orders');
    const ownerUrl = cluster.url('orders');
    const serviceUrl = login === 'owner' ? ownerUrl : withLogin(ownerUrl, 'app_service', SERVICE_PASSWORD);
    await migrate({ migrationUrl: ownerUrl, serviceUrl, statementTimeout: STATEMENT_TIMEOUT_MS });
    const database = { name: 'orders', serviceUrl, ownerUrl } as TestDatabase;
    service = await startService({ database, env: { DB_STATEMENT_TIMEOUT: `${STATEMENT_TIMEOUT_MS}ms` } });
    tenant = await service.tenant();
    owner = new Client({ connectionString: ownerUrl });
    await owner.connect();
  });

  afterAll(async () => {
    // The log of the process names each cause once until its outage is over.
    const isOver = (): boolean => service.logLines.some((line) => line.includes('requests are served again'));
    await until('the outage is over', isOver, 15_000);
    await owner.end();
    await service.stop();
    await cluster.remove();
  });

  /** Refused by PostgreSQL, not by a watch of ours over a silent connection, which is 5 seconds later. */
  async function expectSoon(request: Promise<ApiResponse>, because: RegExp): Promise<void> {
    const begun = Date.now();
    const response = await request;
    expectProblem(response, 'unavailable');
    expect(response.headers.get('retry-after')).toBe('1');
    expect(Date.now() - begun).toBeLessThan(SOON_MS);
    // The log has a line for a cause, and not one for each request that meets it.
    expect(service.logLines.filter((line) => line.includes('request failed')).join('\n')).toMatch(because);
  }

  it('ends a statement that runs too long, and the next one works', async () => {
    await owner.query(`
      create function dawdle() returns trigger language plpgsql as 'begin perform pg_sleep(60); return new; end';
      create trigger dawdle before insert on orders for each row execute function dawdle()`);
    await expectSoon(tenant.post('/orders', orderInput()), /canceling statement due to statement timeout/);
    await owner.query('drop trigger dawdle on orders; drop function dawdle');
    expect((await tenant.post('/orders', orderInput())).status).toBe(201);
  });

  it('ends the wait for a lock', async () => {
    const order = await tenant.createOrder();
    await owner.query('begin');
    await owner.query('select 1 from orders where id = $1 for update', [order.id]);
    const change = tenant.patch(`/orders/${order.id}`, { notes: 'later' });
    await expectSoon(change, /canceling statement due to (lock|statement) timeout/);
    await owner.query('rollback');
    expect((await tenant.patch(`/orders/${order.id}`, { notes: 'later' })).status).toBe(200);
  });

  it('is bounded for statements, locks, and idle transactions', async () => {
    const text = `select current_setting('statement_timeout') as statement, current_setting('lock_timeout') as lock,
                         current_setting('idle_in_transaction_session_timeout') as idle`;
    const statement = { name: 'test_timeouts', text, values: [] };
    const database = service.app.get(TenantDatabase, { strict: false });
    const scope = { tenantId: tenant.tenantId };
    const expected = [{ statement: '400ms', lock: '400ms', idle: '30s' }];
    expect(await database.query(scope, statement)).toEqual(expected);
    expect(await database.transaction(scope, (tx) => tx.query(statement))).toEqual(expected);
  });
});
