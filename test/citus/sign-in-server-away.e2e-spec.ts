import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { findTenant } from '../../src/platform/database/migrate/move-shards';
import { citusUrls, createDistributedDatabase, type DistributedDatabase } from '../harness/citus';
import { ApiClient, type ApiResponse, type SignedIn } from '../harness/client';
import { tokenTo } from '../harness/mails';
import { expectProblem } from '../harness/problems';
import { newEmail, startService, type TestService } from '../harness/service';
import { until } from '../harness/until';

const urls = citusUrls();
const onCitus = urls.length > 2 ? describe : describe.skip;
const PASSWORD = 'a password for tests';
/** A port on which no server listens. */
const NO_SERVER = 1;

onCitus('people while one server is away', () => {
  let database: DistributedDatabase;
  let service: TestService;
  /** Of a tenant on a server that answers, of one on the server that is away, and of both. */
  let here: ApiClient;
  let there: ApiClient;
  /** As the first one, but sessions without a tenant would be on the server that is away. */
  let between: ApiClient;
  let both: ApiClient;
  let awayPort: number;

  beforeAll(async () => {
    database = await createDistributedDatabase(urls);
    // As docs/scaling.md says, while all servers answer: Citus repeats it on each.
    await database.sql(`alter database ${database.name} set citus.node_connection_timeout = 2000`);
    service = await startService({ database, env: { MAIL_DIRECTORY: tmpdir() } });
    there = await service.tenant('There');
    awayPort = await portOf(there.tenantId);
    here = await founder((tenant, person) => tenant !== awayPort && person !== awayPort);
    between = await founder((tenant, person) => tenant !== awayPort && person === awayPort);
    const email = newEmail();
    both = await accept(await invited(there, email), { password: PASSWORD });
    await accept(await invited(here, email), {}, both);
    await setPort(awayPort, NO_SERVER);
  });
  afterAll(async () => {
    await service?.stop();
    await database?.drop();
  });

  const setPort = (from: number, to: number): Promise<unknown> =>
    database.sql(`update pg_dist_node set nodeport = ${to} where nodeport = ${from}`);
  const portOf = async (id: string): Promise<number> => (await findTenant(database.ownerUrl, id)).port;
  /** A founder whose tenant and person are where they should be. */
  async function founder(isIt: (tenantPort: number, personPort: number) => boolean): Promise<ApiClient> {
    for (;;) {
      const client = await service.tenant('Here');
      if (isIt(await portOf(client.tenantId), await portOf(sessionOf(client).user.id))) return client;
    }
  }
  const sessionOf = (client: ApiClient): SignedIn => client.session as SignedIn;
  const login = (client: ApiClient, more: Record<string, unknown> = {}): Promise<ApiResponse> =>
    service.client.post('/auth/login', { email: sessionOf(client).user.email, password: PASSWORD, ...more });
  const idsIn = (response: ApiResponse): string[] => (response.body.data as { id: string }[]).map(({ id }) => id);

  async function invited(by: ApiClient, email: string): Promise<string> {
    expect((await by.post('/invitations', { email, role: 'member' })).status).toBe(201);
    return tokenTo(service, email, 'invitation');
  }
  async function accept(token: string, more: Record<string, unknown>, by = service.client): Promise<ApiClient> {
    const joined = await by.post('/auth/invitations/accept', { token, ...more });
    expect(joined.status).toBe(200);
    return new ApiClient(service.url, joined.body as SignedIn);
  }
  const expectAway = (response: ApiResponse): void => {
    expectProblem(response, 'unavailable');
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
  };

  it('a person of the other servers signs in, refreshes, lists, steps up, makes sessions and ends them', async () => {
    const signedIn = await login(here);
    expect([signedIn.status, signedIn.body.tenant?.id]).toEqual([200, here.tenantId]);
    const client = new ApiClient(service.url, signedIn.body as SignedIn);
    const refreshed = await service.client.post('/auth/refresh', { refresh_token: signedIn.body.refresh_token });
    expect(refreshed.status).toBe(200);
    const calls: [number, Promise<ApiResponse>][] = [
      [200, client.get('/auth/me')],
      [200, client.get('/auth/tenants')],
      [200, client.get('/auth/sessions')],
      [200, client.post('/auth/switch-tenant', { tenant_id: here.tenantId })],
      [200, client.get('/members')],
      [200, client.get('/orders')],
    ];
    for (const [status, call] of calls) expect((await call).status).toBe(status);
    expect(idsIn(await client.get('/auth/tenants'))).toEqual([here.tenantId]);
    const stepped = await client.post('/auth/step-up', { password: PASSWORD });
    expect(stepped.status).toBe(200);
    const fresh = client.withToken(stepped.body.access_token as string);
    const other = (await login(here)).body as SignedIn;
    const [ended] = idsIn(await fresh.get('/auth/sessions'));
    expect((await fresh.delete(`/auth/sessions/${ended}`)).status).toBe(204);
    await until('the session to end', async () => {
      return (await new ApiClient(service.url, other).get('/auth/me')).status === 401;
    });
    expect((await fresh.delete('/auth/sessions')).status).toBe(204);
    const out = await service.client.post('/auth/logout', { refresh_token: stepped.body.refresh_token });
    expect(out.status).toBe(204);
  });

  it('a person whose sessions without a tenant are there signs in, and ends sessions once it is back', async () => {
    const signedIn = await login(between);
    expect([signedIn.status, signedIn.body.tenant?.id]).toEqual([200, between.tenantId]);
    const client = new ApiClient(service.url, signedIn.body as SignedIn);
    const refreshed = await service.client.post('/auth/refresh', { refresh_token: signedIn.body.refresh_token });
    expect([refreshed.status, idsIn(await client.get('/auth/tenants'))]).toEqual([200, [between.tenantId]]);
    expect(idsIn(await client.get('/auth/sessions')).length).toBeGreaterThan(0);
    // All sessions or none: a part that lives on unseen would be worse than a request to repeat.
    expectAway(await client.delete('/auth/sessions'));
    expectAway(await service.client.post('/auth/logout', { refresh_token: refreshed.body.refresh_token }));
    expect((await client.get('/auth/me')).status).toBe(401);
  });

  it('a person of that server gets 503 with Retry-After, with any password', async () => {
    expectAway(await login(there));
    expectAway(await login(there, { tenant_id: there.tenantId }));
    expectAway(await service.client.post('/auth/refresh', { refresh_token: sessionOf(there).refresh_token }));
    expectAway(await there.get('/auth/me'));
    expectProblem(await login(there, { password: 'a wrong password' }), 'unauthorized');
  });

  it('a person of both signs in to the other one, and the lists say less', async () => {
    const signedIn = await login(both);
    expect([signedIn.status, signedIn.body.tenant?.id]).toEqual([200, here.tenantId]);
    const client = new ApiClient(service.url, signedIn.body as SignedIn);
    expect(idsIn(await client.get('/auth/tenants'))).toEqual([here.tenantId]);
    expect(idsIn(await client.get('/auth/sessions')).length).toBeGreaterThan(0);
    expectAway(await client.post('/auth/switch-tenant', { tenant_id: there.tenantId }));
    expectAway(await login(both, { tenant_id: there.tenantId }));
    expectAway(await client.delete('/auth/sessions'));
  });

  it('a server that says nothing is given up within the time of a sign-in', async () => {
    const sockets: Socket[] = [];
    const silent = createServer((socket) => void sockets.push(socket.on('error', () => undefined)));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as AddressInfo;
    await setPort(NO_SERVER, port);
    try {
      const signedIn = await login(both);
      expect([signedIn.status, signedIn.body.tenant?.id]).toEqual([200, here.tenantId]);
      expectAway(await login(both, { tenant_id: there.tenantId }));
    } finally {
      await setPort(port, NO_SERVER);
      silent.close();
      for (const socket of sockets) socket.destroy();
    }
  });

  it('writes to all servers are refused: registration and new members', async () => {
    const body = { email: newEmail(), password: PASSWORD, tenant_name: 'Late' };
    expectAway(await service.client.post('/auth/register', body));
    expectAway(
      await new ApiClient(service.url, (await login(here)).body as SignedIn).post('/tenants', { name: 'Late' }),
    );
    await setPort(NO_SERVER, awayPort);
    await until('registration', async () => (await service.client.post('/auth/register', body)).status === 201);
    await until('the person of that server', async () => (await login(there)).status === 200);
    const signedIn = new ApiClient(service.url, (await login(both)).body as SignedIn);
    expect(idsIn(await signedIn.get('/auth/tenants')).sort()).toEqual([here.tenantId, there.tenantId].sort());
  });
});
