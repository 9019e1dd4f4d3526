import { Readable } from 'node:stream';
import fastify, { type FastifyInstance } from 'fastify';
import { Download, Json, JsonPage, Outcome, StoredResponse, Representation, Result, WithStatus } from './results';
import { headersOf, sendResult } from './send-result';

const JSON_TYPE = 'application/json; charset=utf-8';

describe('a result that a controller returns', () => {
  let server: FastifyInstance;
  let origin: string;
  const open = jest.fn(() => Readable.from(['a,b\r\n']));
  const results: Record<string, () => Result> = {
    '/orders/1': () => new Representation('{"id" : 1}', 3),
    '/types/1': () => new Representation('{"name":"a"}'),
    '/orders': () => new JsonPage('{"data":[]}', 'abc'),
    '/last': () => new JsonPage('{"data":[]}', null),
    '/keys': () => new Json('{"keys":[]}'),
    '/created': () => new Outcome('{"id":"7"}', { id: '7', version: 1 }),
    '/emitted': () => new Outcome('{"id":"7"}'),
    '/replayed': () => new StoredResponse(201, { location: '/api/v1/orders/7', etag: '"1"' }, '{"id":"7"}'),
    '/new-type': () => new WithStatus(201, new Representation('{"name":"a"}', 2)),
    '/away': () => new WithStatus(503, { status: 'unavailable' }, { 'retry-after': '1' }),
    '/export': () => new Download('orders.csv', 'text/csv; charset=utf-8', open),
    '/unknown': () => new (class Unknown extends Result {})(),
  };

  beforeAll(async () => {
    server = fastify();
    server.decorate('publicPath', '/shop');
    for (const [url, make] of Object.entries(results)) {
      server.get(url, { config: { conditional: true } }, (_request, reply) => sendResult(reply, make()));
    }
    server.patch('/orders/1', (_request, reply) => sendResult(reply, new Representation('{"id" : 1}', 3)));
    origin = await server.listen({ port: 0, host: '127.0.0.1' });
  });
  afterAll(() => server.close());

  async function ask(url: string, init?: RequestInit): Promise<{ status: number; text: string; headers: Headers }> {
    const response = await fetch(origin + url, init);
    return { status: response.status, text: await response.text(), headers: response.headers };
  }

  it.each([
    ['/orders/1', 200, '{"id" : 1}', { etag: '"3"', 'content-type': JSON_TYPE }],
    ['/orders?limit=1', 200, '{"data":[]}', { link: '</shop/orders?limit=1&cursor=abc>; rel="next"' }],
    ['/last', 200, '{"data":[]}', { link: null, etag: null }],
    ['/keys', 200, '{"keys":[]}', { etag: null, 'content-type': JSON_TYPE }],
    ['/created?a=1', 200, '{"id":"7"}', { location: '/shop/created/7', etag: '"1"', 'content-type': JSON_TYPE }],
    ['/emitted', 200, '{"id":"7"}', { location: null, etag: null, 'idempotency-replayed': null }],
    [
      '/replayed',
      201,
      '{"id":"7"}',
      { location: '/shop/api/v1/orders/7', etag: '"1"', 'idempotency-replayed': 'true', 'content-type': JSON_TYPE },
    ],
    ['/new-type', 201, '{"name":"a"}', { etag: '"2"' }],
    ['/away', 503, '{"status":"unavailable"}', { 'retry-after': '1', 'content-type': JSON_TYPE }],
    ['/export', 200, 'a,b\r\n', { 'content-disposition': 'attachment; filename="orders.csv"', etag: null }],
  ])('at %s is sent with its status, body and headers', async (url, status, body, headers) => {
    const response = await ask(url);
    expect([response.status, response.text]).toEqual([status, body]);
    for (const [name, value] of Object.entries(headers))
      expect([name, response.headers.get(name)]).toEqual([name, value]);
  });

  it('is not sent again to a client that has it, on a conditional route', async () => {
    const first = await ask('/types/1');
    for (const [url, etag] of [
      ['/orders/1', '"3"'],
      ['/types/1', first.headers.get('etag') as string],
    ] as const) {
      const known = await ask(url, { headers: { 'if-none-match': etag } });
      expect([known.status, known.text, known.headers.get('etag')]).toEqual([304, '', etag]);
      expect((await ask(url, { headers: { 'if-none-match': '"other"' } })).status).toBe(200);
    }
    const changed = await ask('/orders/1', { method: 'PATCH', headers: { 'if-none-match': '"3"' } });
    expect([changed.status, changed.text]).toEqual([200, '{"id" : 1}']);
  });

  it('is no stream that HEAD has opened', async () => {
    open.mockClear();
    const response = await ask('/export', { method: 'HEAD' });
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/csv; charset=utf-8']);
    expect(open).not.toHaveBeenCalled();
  });

  it('fails loudly where there is no way to send it', async () => {
    const response = await ask('/unknown');
    expect(response.status).toBe(500);
    expect(response.text).toContain('there is no way to send a Unknown');
  });

  it('is stored with the headers of releases before', () => {
    expect(JSON.stringify(headersOf({ id: '7', version: 1 }, '/api/v1/orders/'))).toBe(
      '{"location":"/api/v1/orders/7","etag":"\\"1\\""}',
    );
    expect(headersOf({ secret: true }, '/api/v1/webhooks/events')).toEqual({});
  });
});
