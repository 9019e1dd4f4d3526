import type { Pool } from 'pg';
import { AuditFolder } from '../../src/audit/folding/audit-folder';
import { ConnectionManager } from '../../src/platform/database/connections/connection-manager';
import { createFakeDistributedDatabase, type DistributedDatabase } from '../harness/citus';
import { peopleTour } from '../harness/people-tour';
import { startService, type TestService } from '../harness/service';
import { startWorker, type TestWorker } from '../harness/worker';

/** A request that needs a second connection while it holds one waits for ever once all requests hold one. */
describe('with one connection for all requests, as on Citus', () => {
  let database: DistributedDatabase;
  let service: TestService;
  let verified: TestService;
  let worker: TestWorker;

  beforeAll(async () => {
    database = await createFakeDistributedDatabase();
    const start = (mode: string): Promise<TestService> =>
      startService({ database, env: { REGISTRATION: mode, MAIL_DIRECTORY: '/nowhere' } });
    service = await start('open');
    verified = await start('verified');
    worker = await startWorker(database);
    for (const { app } of [service, verified]) {
      (app.get(ConnectionManager, { strict: false }).driver.master as Pool).options.max = 1;
    }
  });
  afterAll(async () => {
    await worker?.stop();
    await verified?.stop();
    await service?.stop();
    await database?.drop();
  });

  it('every operation of people, keys and the tenant is done', async () => {
    const fold = async (tenantId: string): Promise<void> => {
      await worker.app.get(AuditFolder, { strict: false }).fold(tenantId);
    };
    await peopleTour({ service, verified, wrap: (client) => client, fold });
  });
});
