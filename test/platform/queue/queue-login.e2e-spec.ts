import { Client } from 'pg';
import { migrate } from '../../../src/platform/database/migrate/migrations';
import { TestCluster } from '../../harness/cluster';
import { type TestDatabase, withLogin } from '../../harness/databases';
import { createEndpoint } from '../../harness/endpoints';
import { type Receiver, startReceiver } from '../../harness/receiver';
import { startService } from '../../harness/service';
import { startWorker } from '../../harness/worker';

/** Roles belong to a whole server, so that this suite has one of its own. */
describe.each(['a superuser', 'no superuser'])('a login of its own for the queue, where the owner is %s', (owner) => {
  let cluster: TestCluster;
  let database: TestDatabase;
  let queueUrl: string;
  let receiver: Receiver;

  const run = (withQueue: boolean) =>
    migrate({
      migrationUrl: database.ownerUrl,
      serviceUrl: database.serviceUrl,
      queueUrl: withQueue ? queueUrl : undefined,
      statementTimeout: 15_000,
    });

  beforeAll(async () => {
    cluster = await TestCluster.start();
    await cluster.sql('postgres', `create role company_owner login createrole password 'owner'`);
    await cluster.sql('postgres', `create database orders ${owner === 'no superuser' ? 'owner company_owner' : ''}`);
    const superuserUrl = cluster.url('orders');
    database = {
      name: 'orders',
      ownerUrl: owner === 'no superuser' ? withLogin(superuserUrl, 'company_owner', 'owner') : superuserUrl,
      serviceUrl: withLogin(superuserUrl, 'app_service', 'service'),
      sql: (text) => cluster.sql('orders', text),
      drop: () => Promise.resolve(),
    };
    queueUrl = withLogin(superuserUrl, 'app_queue', 'queue');
    receiver = await startReceiver();
  });
  afterAll(async () => {
    await receiver.stop();
    await cluster.remove();
  });

  async function delivers(env: Record<string, string>): Promise<void> {
    const before = receiver.received.length;
    const all = { WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8', ...env };
    const service = await startService({ database, env: all });
    const worker = await startWorker(database, all);
    const tenant = await service.tenant();
    await createEndpoint(tenant, receiver.url, { event_types: ['order.created'] });
    await tenant.createOrder();
    await receiver.waitFor(before + 1);
    expect((await service.client.get('/health/ready')).status).toBe(200);
    await worker.stop();
    await service.stop();
  }

  async function refusalOf(connectionString: string, statement: string): Promise<string | undefined> {
    const client = new Client({ connectionString });
    await client.connect();
    const code = await client.query(statement).then(
      () => undefined,
      (error: { code: string }) => error.code,
    );
    await client.end();
    return code;
  }

  it('is made by migrate beside the running release, and parts the two logins at the next run', async () => {
    await run(false);
    // Objects that BullMQ creates at run time belong to the service's login.
    await delivers({});
    await run(true);
    await delivers({});
    await delivers({ QUEUE_DATABASE_URL: queueUrl });
    await run(true);
    await delivers({ QUEUE_DATABASE_URL: queueUrl });
    expect(await refusalOf(database.serviceUrl, `delete from bullmq.job`)).toBe('42501');
    expect(await refusalOf(database.serviceUrl, 'select 1 from bullmq.job')).toBeUndefined();
    expect(await refusalOf(queueUrl, 'select 1 from orders')).toBe('42501');
    expect(await refusalOf(queueUrl, 'set role app_service')).toBe('42501');
  });
});
