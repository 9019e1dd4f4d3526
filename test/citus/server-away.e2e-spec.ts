import { findTenant } from '../../src/platform/database/migrate/move-shards';
import { citusUrls, createDistributedDatabase, type DistributedDatabase } from '../harness/citus';
import type { ApiClient } from '../harness/client';
import { createEndpoint } from '../harness/endpoints';
import { type Receiver, startReceiver } from '../harness/receiver';
import { startService, type TestService } from '../harness/service';
import { until } from '../harness/until';
import { startWorker, type TestWorker } from '../harness/worker';

const urls = citusUrls();
const onCitus = urls.length > 2 ? describe : describe.skip;
/** A port on which no server listens. */
const NO_SERVER = 1;

/** How statements reach the servers. */
const WAYS: [string, Record<string, string>][] = [
  ['by way of the coordinator', {}],
  ['to the server of the tenant', { DATABASE_ROUTING: 'node' }],
];

onCitus.each(WAYS)('while one server is away, statements %s', (_, env) => {
  let database: DistributedDatabase;
  let service: TestService;
  let worker: TestWorker;
  let receiver: Receiver;
  let here: ApiClient;
  let there: ApiClient;
  let awayPort: number;

  beforeAll(async () => {
    database = await createDistributedDatabase(urls);
    service = await startService({ database, env: { ...env, WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' } });
    receiver = await startReceiver();
    worker = await startWorker(database, env);
    here = await service.tenant();
    awayPort = await portOf(here);
    while (awayPort === (await portOf(here))) {
      there = here;
      here = await service.tenant();
    }
    await createEndpoint(here, receiver.url, { event_types: ['order.*'] });
    await createEndpoint(there, receiver.url, { event_types: ['order.*'] });
    await database.sql(`update pg_dist_node set nodeport = ${NO_SERVER} where nodeport = ${awayPort}`);
  });
  afterAll(async () => {
    await worker?.stop();
    await service?.stop();
    await receiver?.stop();
    await database?.drop();
  });

  async function portOf(tenant: ApiClient): Promise<number> {
    return (await findTenant(database.ownerUrl, tenant.tenantId)).port;
  }

  const arrived = (): string[] =>
    receiver.received.map(({ body }) => (JSON.parse(body) as { data: { id: string } }).data.id);

  it('the tenants of the others are served, and their webhooks delivered', async () => {
    const order = await here.createOrder();
    expect((await here.get(`/orders/${order.id as string}`)).status).toBe(200);
    await until('the webhook', () => arrived().includes(order.id as string), 30_000);
  });

  it('its tenants get 503, and are served and get their webhooks once it is back', async () => {
    await until('503', async () => (await there.get('/orders')).status === 503);
    await database.sql(`update pg_dist_node set nodeport = ${awayPort} where nodeport = ${NO_SERVER}`);
    await until('its tenants to be served', async () => (await there.get('/orders')).status === 200, 30_000);
    const id = (await there.createOrder()).id as string;
    await until('the webhook', () => arrived().includes(id), 30_000);
  });
});
