import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { ApiClient } from '../../../harness/client';
import { createTestDatabase, type TestDatabase } from '../../../harness/databases';
import { expectProblem } from '../../../harness/problems';
import { type ApiProcess, buildOnce, startApiProcess } from '../../../harness/service-process';
import { until } from '../../../harness/until';

const MIB = 1024 * 1024;

function memory(pid: number, line: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`^${line}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) / 1024;
}

describe('responses that are not read', () => {
  let database: TestDatabase;
  let api: ApiProcess;
  let tenant: ApiClient;
  let other: ApiClient;
  const sockets: Socket[] = [];

  beforeAll(async () => {
    buildOnce();
    database = await createTestDatabase();
    api = await startApiProcess(database, { DB_POOL_SIZE: '12' });
    tenant = await new ApiClient(api.url).register();
    other = await new ApiClient(api.url).register();
    await database.sql(
      `insert into events (tenant_id, id, type, data, created_at)
       select $1, ('00000000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, 'big.one',
              json_build_object('s', repeat('x', 250000)), now() from generate_series(1, 40) i`,
      [tenant.tenantId],
    );
  });
  afterAll(async () => {
    for (const socket of sockets) socket.destroy();
    await api.kill('SIGKILL');
    await database.drop();
  });

  /** Requests a page many times on one connection, and reads none of the responses. */
  const askAndNotRead = (client: ApiClient, times: number): void => {
    const socket = connect(Number(new URL(api.url).port), '127.0.0.1').on('error', () => undefined);
    socket.pause();
    const request =
      'GET /api/v1/webhooks/events?limit=100 HTTP/1.1\r\nHost: x\r\n' +
      `Authorization: Bearer ${client.session?.access_token}\r\n\r\n`;
    socket.write(request.repeat(times));
    sockets.push(socket);
  };

  it('of one tenant hold a bounded amount of memory, and the tenant gets 429 until they are gone', async () => {
    const page = await tenant.get('/webhooks/events?limit=100');
    expect(Buffer.byteLength(page.text)).toBeGreaterThan(0.7 * MIB);
    const before = memory(api.pid, 'VmRSS');
    // The buffers of the connections take the first megabytes; all requests together are 600 MiB.
    for (let i = 0; i < 20; i++) askAndNotRead(tenant, 30);
    const refused = await until(
      'the tenant to be refused more',
      async () => {
        const response = await tenant.get('/webhooks/events?limit=100');
        return response.status === 429 && response;
      },
      30_000,
    );
    expectProblem(refused, 'rate_limited');
    expect(refused.headers.get('link')).toBeNull();
    expect((await tenant.get('/orders')).status).toBe(200);
    expect((await other.get('/webhooks/events?limit=100')).status).toBe(200);
    // Beside what is bounded, there is garbage that the collector has not reached yet: how much depends on the machine.
    expect(memory(api.pid, 'VmHWM') - before).toBeLessThan(350);
    for (const socket of sockets.splice(0)) socket.destroy();
    await until('room again', async () => (await tenant.get('/webhooks/events?limit=100')).status === 200);
  });

  it('are not counted after their clients have left, also before they were ready', async () => {
    const owner = new Client({ connectionString: database.ownerUrl });
    await owner.connect();
    try {
      for (let round = 0; round < 6; round++) {
        await owner.query('begin; lock table events in access exclusive mode');
        for (let i = 0; i < 8; i++) askAndNotRead(tenant, 2);
        await until('statements to wait', async () => {
          const { rows } = await owner.query(
            `select 1 from pg_locks where relation = 'events'::regclass and not granted
                and database = (select oid from pg_database where datname = current_database())`,
          );
          return rows.length > 1;
        });
        for (const socket of sockets.splice(0)) socket.destroy();
        await delay(50);
        await owner.query('rollback');
        await until('the page again', async () => (await other.get('/webhooks/events')).status === 200);
      }
      expect((await tenant.get('/webhooks/events?limit=100')).status).toBe(200);
    } finally {
      await owner.end();
    }
  });

  it('are sent for a change that has been made', async () => {
    const data = { s: 'x'.repeat(200_000) };
    for (let i = 0; i < 20; i++) askAndNotRead(tenant, 30);
    await until('the tenant to be refused', async () => (await tenant.get('/webhooks/events')).status === 429, 30_000);
    const made = await tenant.post('/webhooks/events', { type: 'big.one', data });
    expect(made.status).toBe(202);
    expect(made.body.data).toEqual(data);
  });
});
