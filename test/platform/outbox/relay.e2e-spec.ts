import { OutboxBacklog } from '../../../src/platform/outbox/outbox-backlog';
import type { ApiClient } from '../../harness/client';
import { createEndpoint } from '../../harness/endpoints';
import { type Receiver, startReceiver } from '../../harness/receiver';
import { startService, type TestService } from '../../harness/service';
import { until } from '../../harness/until';
import { startWorker, type TestWorker } from '../../harness/worker';

describe('the relay', () => {
  let service: TestService;
  let worker: TestWorker;
  let receiver: Receiver;
  let tenant: ApiClient;
  let search: jest.SpyInstance;

  beforeAll(async () => {
    const env = { WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' };
    service = await startService({ env });
    worker = await startWorker(service.database, env);
    receiver = await startReceiver();
    tenant = await service.tenant();
    await createEndpoint(tenant, receiver.url);
    search = jest.spyOn(worker.app.get(OutboxBacklog, { strict: false }), 'tenantsWithEvents');
  });
  afterEach(() => search.mockReset());
  afterAll(async () => {
    await worker?.stop();
    await service?.stop();
    await receiver?.stop();
  });

  it('takes the events of a tenant that a notification names, without a search of the outbox', async () => {
    search.mockResolvedValue([]);
    const before = receiver.received.length;
    await tenant.createOrder();
    await receiver.waitFor(before + 1);
  });

  it('takes all of them, if they are more than one batch', async () => {
    const { tenantId } = tenant;
    await service.database.sql(
      `with e as (
         insert into events (tenant_id, id, type, data, created_at)
         select $1, gen_random_uuid(), 'own.thing', '{}', now() from generate_series(1, 450) returning *
       ) insert into outbox (tenant_id, event_id) select tenant_id, id from e`,
      [tenantId],
    );
    search.mockResolvedValue([]);
    const before = receiver.received.length;
    await tenant.createOrder();
    await receiver.waitFor(before + 451, 20_000);
    await until('an empty outbox', async () => (await service.database.sql('select 1 from outbox')).length === 0);
  });

  it('finds events without a notification, also after a search that failed', async () => {
    const find = OutboxBacklog.prototype.tenantsWithEvents;
    const backlog = worker.app.get(OutboxBacklog, { strict: false });
    let failures = 0;
    search.mockImplementation((...args: Parameters<typeof find>) => {
      if (failures++ < 2) throw new Error('the database is away');
      return find.apply(backlog, args);
    });
    const before = receiver.received.length;
    await service.database.sql(
      `with e as (
         insert into events (tenant_id, id, type, data, created_at)
         values ($1, gen_random_uuid(), 'own.thing', '{}', now()) returning *
       ) insert into outbox (tenant_id, event_id) select tenant_id, id from e`,
      [tenant.tenantId],
    );
    await receiver.waitFor(before + 1);
    expect(failures).toBeGreaterThan(2);
  });
});
