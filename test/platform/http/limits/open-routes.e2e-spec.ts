import { gunzipSync } from 'node:zlib';
import { connect } from 'node:net';
import { expectProblem } from '../../../harness/problems';
import { newEmail, startService, type TestService } from '../../../harness/service';

describe('routes without a credential', () => {
  let service: TestService;

  beforeEach(async () => {
    service = await startService({ env: { RATE_LIMIT_ADDRESS_PER_MINUTE: '5', RATE_LIMIT_REGISTRATION: '2' } });
  });
  afterEach(() => service.stop());

  it.each(['/openapi.json', '/docs', '/docs/start.js', '/docs/swagger-ui.css', '/nothing-here'])(
    'count %s against the address',
    async (path) => {
      const statuses: number[] = [];
      for (let i = 0; i < 7; i++) statuses.push((await service.client.get(path)).status);
      expect(statuses.slice(0, 5)).not.toContain(429);
      expect(statuses.slice(5)).toEqual([429, 429]);
      // A liveness probe is never one too many.
      expect((await service.client.get('/health/live')).status).toBe(200);
    },
  );

  it('count readiness by itself: no limit of addresses takes a process out of service, and a flood is refused', async () => {
    for (let i = 0; i < 7; i++) await service.client.get('/nothing-here');
    const ask = (): Promise<number> => service.client.get('/health/ready').then(({ status }) => status);
    for (let i = 0; i < 20; i++) expect(await ask()).toBe(200);
    let refused = false;
    for (let i = 0; i < 20 && !refused; i++) {
      refused = (await Promise.all(Array.from({ length: 100 }, ask))).includes(429);
    }
    expect(refused).toBe(true);
    expect((await service.client.get('/health')).status).toBe(200);
  });

  it('register as many tenants an hour as they may, and name the time of the next', async () => {
    const register = () =>
      service.client.post('/auth/register', {
        email: newEmail(),
        password: 'a long passphrase for tests',
        tenant_name: 'Acme',
      });
    expect([(await register()).status, (await register()).status]).toEqual([201, 201]);
    const refused = await register();
    expectProblem(refused, 'rate_limited');
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(1_500);
    expect(refused.headers.get('ratelimit-policy')).toBe('"registration";q=2;w=3600');
  });

  it('send the document once: compressed, with a tag, to be kept for a while', async () => {
    const ask = async (headers: Record<string, string>) => {
      const response = await fetch(`${service.url}/openapi.json`, { headers });
      return { status: response.status, headers: response.headers, bytes: Buffer.from(await response.arrayBuffer()) };
    };
    const plain = await ask({ 'accept-encoding': 'identity' });
    expect(plain.headers.get('cache-control')).toBe('public, max-age=300');
    const etag = plain.headers.get('etag') ?? '';
    expect((await ask({ 'accept-encoding': 'identity', 'if-none-match': etag })).status).toBe(304);
    const socket = connect(Number(new URL(service.url).port), '127.0.0.1');
    socket.write('GET /openapi.json HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n');
    const chunks: Buffer[] = [];
    for await (const chunk of socket) chunks.push(chunk as Buffer);
    const reply = Buffer.concat(chunks);
    const end = reply.indexOf('\r\n\r\n');
    expect(reply.subarray(0, end).toString().toLowerCase()).toContain('content-encoding: gzip');
    expect(gunzipSync(reply.subarray(end + 4)).equals(plain.bytes)).toBe(true);
  });
});
