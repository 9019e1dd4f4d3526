import { execFileSync } from 'node:child_process';
import type { ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { findChromium, openPage, startChromium } from '../../harness/chromium';
import { createEndpoint } from '../../harness/endpoints';
import { type Receiver, startReceiver } from '../../harness/receiver';
import { freePort, hasRedis, startRedis, type TestRedis } from '../../harness/redis';
import { JWT_SECRET, startService, type TestService } from '../../harness/service';
import { buildOnce } from '../../harness/service-process';
import { until } from '../../harness/until';
import { startWorker, type TestWorker } from '../../harness/worker';
import { startWorkerProcess } from '../../harness/worker-process';

const PASSWORD = 'correct horse: bättery';
const basic = (password: string, user = 'operator') => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
const QUEUE = 'webhook-turns';

/** The parts of bull-board's description of the queue that the test reads. */
interface Board {
  queues: {
    name: string;
    readOnlyMode: boolean;
    allowRetries: boolean;
    counts: Record<string, number>;
    jobs: { id: string; name: string; data: Record<string, unknown> }[];
  }[];
}

/** The address of the worker's UI, from its log. */
function uiUrl(worker: TestWorker): string {
  const line = worker.logLines.find((text) => text.includes('"msg":"the queue UI"'));
  return (JSON.parse(line as string) as { url: string }).url;
}

describe('the queue UI without a queue to look at', () => {
  let service: TestService;
  let worker: TestWorker;
  let url: string;

  beforeAll(async () => {
    buildOnce();
    service = await startService();
  });
  beforeEach(async () => {
    worker = await startWorker(service.database, { QUEUE_UI_PORT: '0', QUEUE_UI_PASSWORD: PASSWORD });
    url = uiUrl(worker);
  });
  afterEach(() => worker.stop());
  afterAll(() => service.stop());

  const get = (path: string, authorization?: string) =>
    fetch(`${url}${path}`, { headers: authorization ? { authorization } : {} });

  it.each(['/', '/api/queues', '/static/favicon-32x32.png', '/nowhere', '/queue/x', '//api/queues', '/api/%71ueues'])(
    'shows nothing of %s without the operator’s credential',
    async (path) => {
      for (const authorization of [undefined, basic('correct horse: batery'), basic(PASSWORD, 'root'), 'Bearer x']) {
        const response = await get(path, authorization);
        expect([authorization, response.status]).toEqual([authorization, 401]);
        expect(response.headers.get('www-authenticate')).toBe('Basic realm="queue", charset="UTF-8"');
        expect(await response.json()).toEqual({ error: 'Unauthorized' });
      }
    },
  );

  it('restricts its page to its own scripts and requests, and is not cached', async () => {
    for (const path of ['/', '/api/queues', '/static/favicon-32x32.png', '/nowhere']) {
      const { headers } = await get(path, basic(PASSWORD));
      expect([path, headers.get('cache-control')]).toEqual([path, 'no-store']);
      expect(headers.get('content-security-policy')).toMatch(/^default-src 'none';script-src 'self';/);
      expect(headers.get('content-security-policy')).not.toMatch(/https?:|\*|unsafe-eval/);
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('x-frame-options')).toBe('DENY');
      expect(headers.get('referrer-policy')).toBe('no-referrer');
    }
    expect((await get('/', basic(PASSWORD))).status).toBe(200);
    expect((await get('/nowhere', basic(PASSWORD))).status).toBe(404);
  });

  it('delays repeated wrong passwords, and logs them without the password', async () => {
    for (let i = 0; i < 10; i++) expect((await get('/', basic(`guess number ${i}`))).status).toBe(401);
    const response = await get('/', basic(PASSWORD));
    expect(response.status).toBe(429);
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(800);
    const warnings = worker.logLines.filter((line) => line.includes('refused a credential'));
    expect(warnings).toHaveLength(11);
    expect(worker.logLines.join('')).not.toMatch(/guess|Basic|horse/);
  });

  it('is off by default, and then loads nothing', async () => {
    const silent = await startWorker(service.database);
    expect(silent.logLines.join('')).not.toContain('queue UI');
    await silent.stop();
    const program = `require('./dist/src/processes/worker/worker.module.js');
      console.log(Object.keys(require.cache).filter((file) => /bull-board|node_modules.fastify.fastify/.test(file)).length)`;
    const options = { cwd: join(__dirname, '..', '..', '..'), encoding: 'utf8' as const };
    expect(execFileSync(process.execPath, ['-e', program], options)).toBe('0\n');
  });

  it('names the fault of its port or its password', async () => {
    const start = async (env: Record<string, string>) => {
      const failing = startWorkerProcess(service.database, { PORT: '0', QUEUE_UI_PASSWORD: PASSWORD, ...env });
      expect(await failing.ended).toBe(1);
      return failing.output();
    };
    const taken = { QUEUE_UI_PORT: new URL(url).port };
    expect(await start(taken)).toContain(
      `QUEUE_UI_PORT ${taken.QUEUE_UI_PORT} cannot be used on 127.0.0.1 (EADDRINUSE); choose another, or off`,
    );
    expect(await start({ QUEUE_UI_PORT: '0', QUEUE_UI_PASSWORD: '' })).toContain(
      'QUEUE_UI_PASSWORD is required where QUEUE_UI_PORT is set',
    );
    expect(await start({ QUEUE_UI_PASSWORD: 'elevencharz' })).toContain('QUEUE_UI_PASSWORD must have at least 12');
    expect(await start({ QUEUE_UI_USER: 'a:b' })).toContain('QUEUE_UI_USER must have no colon');
  });

  it('does not delay the stop of a worker, with any connected client', async () => {
    const port = await freePort();
    const running = startWorkerProcess(service.database, {
      PORT: '0',
      QUEUE_UI_PORT: String(port),
      QUEUE_UI_PASSWORD: PASSWORD,
    });
    await until('the worker works', () => running.output().includes('"msg":"working"'), 20_000);
    const idle = connect(port, '127.0.0.1');
    const half = connect(port, '127.0.0.1', () => half.write('GET / HTTP/1.1\r\nHost: x\r\n'));
    for (const socket of [idle, half]) socket.on('error', () => undefined);
    const response = await fetch(`http://127.0.0.1:${port}/api/queues`, {
      headers: { authorization: basic(PASSWORD) },
    });
    expect(response.status).toBe(200);
    const began = Date.now();
    await running.kill('SIGTERM');
    expect(await running.ended).toBe(0);
    // The deadline of a shutdown is 20 s.
    expect(Date.now() - began).toBeLessThan(10_000);
    expect(running.output()).toContain('"msg":"stopped"');
  });

  const chromium = findChromium();
  if (!chromium && process.env.CI !== 'true') {
    process.stderr.write('\n  SKIPPED: the queue UI is not tried in a browser, for there is no Chromium here.\n\n');
  }
  (chromium || process.env.CI === 'true' ? it : it.skip)(
    'works in a browser under its policy, and requests nothing elsewhere',
    async () => {
      if (!chromium) throw new Error('CI has no Chromium: install it, or name it in CHROMIUM_PATH');
      const browser = await startChromium(chromium);
      try {
        const { page, requests, faults } = await openPage(browser);
        const { host } = new URL(url);
        // Once with the credential, which the browser then keeps for the address without it.
        await page.goto(`http://operator:${encodeURIComponent(PASSWORD)}@${host}/static/favicon-32x32.png`);
        await page.goto(`http://${host}/queue/${QUEUE}`);
        await page.getByText(QUEUE).first().waitFor();
        await page
          .getByText(/active/i)
          .first()
          .waitFor();
        const elsewhere = requests.filter((asked) => !asked.includes(host) && !asked.startsWith('data:'));
        expect(elsewhere.filter((asked) => !asked.startsWith('https://fonts.googleapis.com/'))).toEqual([]);
        // The one fault is the link to the fonts, which the policy stops.
        expect(faults.filter((fault) => !/fonts\.googleapis\.com|"csp"|\/favicon\.ico/.test(fault))).toEqual([]);
      } finally {
        await browser.close();
      }
    },
    120_000,
  );
});

describe.each(hasRedis() ? ['PostgreSQL', 'Redis'] : ['PostgreSQL'])('the queue UI with BullMQ on %s', (backend) => {
  let service: TestService;
  let receiver: Receiver;
  let redis: TestRedis | undefined;
  let worker: TestWorker;
  let url: string;

  beforeAll(async () => {
    redis = backend === 'Redis' ? await startRedis() : undefined;
    service = await startService({ env: { WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' } });
    receiver = await startReceiver();
    worker = await startWorker(service.database, {
      QUEUE_UI_PORT: '0',
      QUEUE_UI_PASSWORD: PASSWORD,
      ...(redis ? { REDIS_URL: redis.url } : {}),
    });
    url = uiUrl(worker);
  });
  afterAll(async () => {
    await worker.stop();
    await receiver.stop();
    await service.stop();
    await redis?.stop();
  });

  const ask = (path: string, method = 'GET') =>
    fetch(`${url}${path}`, { method, headers: { authorization: basic(PASSWORD) } });
  const board = async () => (await (await ask(`/api/queues?activeQueue=${QUEUE}`)).json()) as Board;

  it('shows what is being sent, by ids alone, and changes nothing', async () => {
    const held: ServerResponse[] = [];
    receiver.respond = (response) => void held.push(response);
    const tenant = await service.tenant();
    const endpoint = await createEndpoint(tenant, `${receiver.url}/with-a-secret-path`, {
      headers: { 'X-Token': 'a-header-that-is-secret' },
    });
    await tenant.createOrder({ notes: 'nobody else is to read this' });
    await receiver.waitFor(1);
    const [shown] = await until('the job is shown', async () => {
      const { queues } = await board();
      return (queues[0]?.jobs.length ?? 0) > 0 && queues;
    });
    expect(shown).toMatchObject({ name: QUEUE, readOnlyMode: true, allowRetries: false, counts: { active: 1 } });
    const [job] = shown!.jobs;
    const deliveryId = receiver.received[0]?.headers['webhook-id'];
    expect(job?.data).toEqual({ tenantId: tenant.tenantId, deliveries: [[deliveryId, 1]] });

    const paths = ['/', '/api/queues', `/api/queues?activeQueue=${QUEUE}`, '/api/redis/stats'].concat(
      ['workers', 'metrics', 'default-job-options', 'rate-limit', `${job?.id}`, `${job?.id}/logs`].map(
        (part) => `/api/queues/${QUEUE}/${part}`,
      ),
    );
    const secrets = [endpoint.secret, 'a-header-that', 'with-a-secret-path', 'nobody else', JWT_SECRET, PASSWORD];
    secrets.push(decodeURIComponent(new URL(service.database.serviceUrl).password));
    for (const path of paths) {
      const reply = await ask(path);
      const text = await reply.text();
      expect([path, reply.status]).toEqual([path, 200]);
      expect([path, secrets.filter((secret) => text.includes(secret))]).toEqual([path, []]);
    }

    const changes: [string, string][] = [
      ['POST', `/api/queues/${QUEUE}/add`],
      ['PUT', `/api/queues/${QUEUE}/pause`],
      ['PUT', `/api/queues/${QUEUE}/empty`],
      ['PUT', `/api/queues/${QUEUE}/obliterate`],
      ['PUT', `/api/queues/${QUEUE}/${job?.id}/retry`],
      ['PUT', `/api/queues/${QUEUE}/${job?.id}/clean`],
      ['PATCH', `/api/queues/${QUEUE}/${job?.id}/update-data`],
      ['DELETE', `/api/queues/${QUEUE}/${job?.id}`],
      ['PUT', '/api/queues/pause'],
    ];
    for (const [method, path] of changes) {
      const result = await ask(path, method);
      expect([method, path, result.status, result.headers.get('allow')]).toEqual([method, path, 405, 'GET, HEAD']);
    }
    expect((await board()).queues[0]).toMatchObject({ isPaused: false, counts: { active: 1 } });

    receiver.respond = (response) => void response.writeHead(204).end();
    for (const response of held) response.writeHead(204).end();
    await until('the job is gone', async () => (await board()).queues[0]?.jobs.length === 0);
  });

  if (backend === 'Redis') {
    it('reports only that it cannot read an unavailable queue, and reads it again when it is back', async () => {
      await redis!.kill();
      const response = await ask('/api/queues');
      expect(response.status).toBe(500);
      expect(await response.json()).toEqual({ error: 'The queue could not be read; the worker’s log has the reason' });
      await redis!.start();
      await until('the queue is read', async () => (await ask('/api/queues')).status === 200, 20_000);
      const before = receiver.received.length;
      const tenant = await service.tenant();
      await createEndpoint(tenant, receiver.url);
      await tenant.createOrder();
      await receiver.waitFor(before + 1, 30_000);
    });
  }
});
