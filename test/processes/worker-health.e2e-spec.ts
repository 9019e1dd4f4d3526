import { createTestDatabase, type TestDatabase } from '../harness/databases';
import { until } from '../harness/until';
import { buildOnce } from '../harness/service-process';
import { startWorkerProcess, type WorkerProcess } from '../harness/worker-process';

/** The address of the worker's health routes, from its log. */
async function healthUrl(worker: WorkerProcess): Promise<string> {
  const port = await until('the worker works', () => {
    const line = worker
      .output()
      .split('\n')
      .find((text) => text.includes('"msg":"working"'));
    return line && (JSON.parse(line) as { port: number }).port;
  });
  return `http://127.0.0.1:${port}`;
}

describe('the health of a worker', () => {
  let database: TestDatabase;
  let worker: WorkerProcess;
  let url: string;

  beforeAll(async () => {
    buildOnce();
    database = await createTestDatabase();
    worker = startWorkerProcess(database);
    url = await healthUrl(worker);
  });

  afterAll(async () => {
    await worker.kill('SIGKILL');
    await database.drop();
  });

  it.each(['/health', '/health/live'])('is served on PORT: GET %s', async (path) => {
    const response = await fetch(url + path);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8');
    expect(await response.json()).toEqual({ status: 'ok' });
  });

  it('is ready with its database and migrations', async () => {
    const response = await fetch(`${url}/health/ready`);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ status: 'ok', checks: { database: 'ok', migrations: 'ok', queue: 'ok' } });
    const without = await fetch(`${url}/health/ready?exclude=queue`);
    expect(await without.json()).toEqual({ status: 'ok', checks: { database: 'ok', migrations: 'ok' } });
    const alone = await fetch(`${url}/health/ready?exclude=database,queue`);
    expect(await alone.json()).toEqual({ status: 'ok', checks: {} });
    expect((await fetch(`${url}/health/ready?exclude=migrations`)).status).toBe(422);
  });

  it('is not ready while a migration is pending, and names it', async () => {
    const [newest] = await database.sql<{ id: number; timestamp: string; name: string }>(
      'delete from migrations where id = (select max(id) from migrations) returning *',
    );
    const response = await fetch(`${url}/health/ready`);
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toBe('1');
    expect(await response.json()).toMatchObject({
      status: 'unavailable',
      checks: { migrations: `pending: ${newest?.name}` },
    });
    await database.sql('insert into migrations (id, timestamp, name) values ($1, $2, $3)', [
      newest?.id,
      newest?.timestamp,
      newest?.name,
    ]);
    expect((await fetch(`${url}/health/ready`)).status).toBe(200);
  });

  it('serves no other path', async () => {
    expect((await fetch(`${url}/api/v1/orders`)).status).toBe(404);
    expect((await fetch(`${url}/health`, { method: 'POST' })).status).toBe(405);
  });

  it('is unavailable where another process has the port; the worker continues, and warns', async () => {
    const second = startWorkerProcess(database, { PORT: new URL(url).port });
    await until('the second worker works', () => second.output().includes('"working"'));
    expect(second.output()).toContain(`PORT ${new URL(url).port} is in use`);
    await second.kill('SIGTERM');
    expect(await second.ended).toBe(0);
    expect((await fetch(`${url}/health`)).status).toBe(200);
  });

  it('ends with the worker', async () => {
    await worker.kill('SIGTERM');
    expect(await worker.ended).toBe(0);
    await expect(fetch(`${url}/health`)).rejects.toThrow();
  });
});
