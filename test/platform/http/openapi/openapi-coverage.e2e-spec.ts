import { tmpdir } from 'node:os';
import { MAIL_PAGES, PAGE_FILES } from '../../../../src/auth/pages/mail-pages';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { FastifyInstance } from 'fastify';
import type { ApiClient } from '../../../harness/client';
import { expectGolden } from '../../../harness/golden';
import { type DocumentedOperation, operationsOf, type OpenApiDocument } from '../../../harness/openapi';
import { makeKey } from '../../../harness/members';
import { expectProblem } from '../../../harness/problems';
import { newEmail, startService, type TestService } from '../../../harness/service';
import { makeEndpoint, seedDeliveries } from '../../../harness/webhooks';

const ABSENT_ID = '0198c0de-7a11-7000-8000-0000000000ff';

describe('every operation of the OpenAPI document', () => {
  let service: TestService;
  let owner: ApiClient;
  let stranger: ApiClient;
  let viewer: ApiClient;
  let operations: DocumentedOperation[];
  /** The owner's things by the path that they are read at. */
  let ids: Record<string, string>;
  const served = new Set<string>();

  beforeAll(async () => {
    const watch = (message: unknown): void => {
      (message as { fastify: FastifyInstance }).fastify.addHook('onRoute', ({ method, url }) => {
        for (const one of [method].flat()) served.add(`${one} ${url.replace(/(?<=.)\/$/, '')}`);
      });
    };
    subscribe('fastify.initialization', watch);
    service = await startService({ env: { MAIL_DIRECTORY: tmpdir() } });
    unsubscribe('fastify.initialization', watch);
    operations = operationsOf((await service.client.get('/openapi.json')).body as OpenApiDocument);
    [owner, stranger, viewer] = await Promise.all([service.tenant(), service.tenant(), service.tenant()]);
    await service.database.sql(`update memberships set role = 'viewer' where tenant_id = $1`, [viewer.tenantId]);
    const endpoint = (await makeEndpoint(owner)) as { id: string };
    const [delivery] = await seedDeliveries(service.database, owner.tenantId, endpoint.id, [{ status: 'failed' }]);
    const event = await owner.post('/webhooks/events', { type: 'a.b', data: {} });
    const [entry] = (await owner.get('/audit-log')).body.data as { id: string }[];
    ids = {
      '/api/v1/audit-log/{id}': entry?.id as string,
      '/api/v1/orders/{id}': ((await owner.createOrder()) as { id: string }).id,
      '/api/v1/webhooks/endpoints/{id}': endpoint.id,
      '/api/v1/webhooks/deliveries/{id}': delivery as string,
      '/api/v1/webhooks/events/{id}': event.body.id as string,
      '/api/v1/invitations/{id}': (await owner.post('/invitations', { email: newEmail(), role: 'member' })).body
        .id as string,
      '/api/v1/api-keys/{id}': (await makeKey(owner)).key.id as string,
      '/api/v1/tenant/exports/{id}': (await owner.post('/tenant/exports')).body.id as string,
    };
    // A resource that can be created from the document's example needs no line above.
    for (const operation of operations) {
      const path = `${operation.path}/{id}`;
      if (operation.method !== 'POST' || path in ids || !operations.some((one) => one.path === path)) continue;
      const made = await call(owner, operation);
      if (made.status === 201) ids[path] = made.body.id as string;
    }
  });
  afterAll(() => service.stop());

  /** Calls an operation with valid input, except for the caller and the id in the path. */
  const call = (client: ApiClient, { method, path, body }: DocumentedOperation, id = ABSENT_ID) =>
    client.request(
      method,
      path.replace('/api/v1', '').replace('{id}', id).replace('{name}', 'a.b').replace('{file}', 'page.css'),
      { body },
    );

  const idFor = ({ path, name }: DocumentedOperation): string => {
    const found = Object.entries(ids).find(([start]) => path === start || path.startsWith(`${start}/`))?.[1];
    if (!found) throw new Error(`${name}: say in this test how to make what is at this path`);
    return found;
  };

  it('is a route of the server, and every route of the server is one', () => {
    const documented = operations.flatMap(({ method, path }) => {
      const url = path.replace(/\{(\w+)\}/g, ':$1');
      return method === 'GET' ? [`GET ${url}`, `HEAD ${url}`] : [`${method} ${url}`];
    });
    // The page's files are one operation; the preflight of browsers is no route of ours.
    const routes = [...served].map((route) => route.replace(/\/docs\/[\w.-]+$/, '/docs/:file'));
    const pages = [...Object.keys(MAIL_PAGES), ...PAGE_FILES].flatMap((path) => [`GET ${path}`, `HEAD ${path}`]);
    const expected = routes.filter((route) => !/^OPTIONS \/?\*$/.test(route) && !pages.includes(route));
    expect([...new Set(expected)].sort()).toEqual(documented.sort());
  });

  it('needs a credential, but for those on the golden list', () => {
    const open = operations.filter((operation) => operation.public).map(({ name }) => name);
    expectGolden('open-routes.json', `${JSON.stringify(open.sort(), null, 2)}\n`);
  });

  it('is as open or closed as documented', async () => {
    for (const operation of operations) {
      const response = await call(service.client, operation);
      if (operation.public) {
        // Signing in, refreshing and signing out refuse the example's values, not a missing credential.
        expect([operation.name, response.body?.detail]).not.toEqual([
          operation.name,
          'A valid credential is required.',
        ]);
        expect([operation.name, Object.keys(operation.responses)]).toEqual([
          operation.name,
          expect.arrayContaining([String(response.status)]),
        ]);
      } else {
        expect([operation.name, response.status]).toEqual([operation.name, 401]);
        expectProblem(response, 'unauthorized');
        expect(response.headers.get('www-authenticate')).toBe('Bearer');
      }
    }
  });

  it('responds with 404 for another tenant’s resource, as for one that does not exist', async () => {
    const withId = operations.filter(
      ({ path, description }) => path.includes('{id}') && !description.includes('Serves the person of a session'),
    );
    expect(withId.length).toBeGreaterThan(0);
    for (const operation of withId) {
      const id = idFor(operation);
      const [foreign, absent] = [await call(stranger, operation, id), await call(stranger, operation)];
      expect([operation.name, foreign.status]).toEqual([operation.name, 404]);
      const { detail } = expectProblem(foreign, 'not_found');
      expect(detail.replace(id, ABSENT_ID)).toBe(expectProblem(absent, 'not_found').detail);
    }
    // The same requests of the owner find their resources, so that the tenant was the reason.
    for (const operation of withId.sort((a, b) => Number(a.method === 'DELETE') - Number(b.method === 'DELETE'))) {
      const response = await call(owner, operation, idFor(operation));
      expect([operation.name, response.status]).not.toEqual([operation.name, 404]);
    }
  });

  it('shows a stranger nothing of the owner where it needs no id', async () => {
    for (const operation of operations.filter(({ method, path }) => method === 'GET' && !path.includes('{'))) {
      const response = await call(stranger, operation);
      const shown = Object.values(ids).filter((id) => response.text.includes(id));
      expect([operation.name, shown]).toEqual([operation.name, []]);
      for (const filter of operation.query.filter((name) => name.endsWith('_id'))) {
        for (const id of Object.values(ids)) {
          const path = `${operation.path.replace('/api/v1', '')}?${filter}=${id}`;
          expect([path, (await stranger.get(path)).body?.data ?? []]).toEqual([path, []]);
        }
      }
    }
  });

  it('refuses a viewer where it needs a permission to write', async () => {
    const writing = operations.filter(({ description }) => /Requires the permission `\w+:write`/.test(description));
    expect(writing.length).toBeGreaterThan(0);
    for (const operation of writing) {
      const response = await call(viewer, operation);
      expect([operation.name, response.status]).toEqual([operation.name, 403]);
      expectProblem(response, 'forbidden');
    }
  });

  it('needs a permission wherever it changes something and needs a credential', () => {
    const changing = operations.filter(({ method, public: open }) => method !== 'GET' && !open);
    const asks = /Requires the permission `\w+:\w+`|Serves the person of a session/;
    const unasked = changing.filter(({ description }) => !asks.test(description));
    expect(unasked.map(({ name }) => name)).toEqual([]);
  });
});
