import { Client } from 'pg';
import { ApiClient, type SignedIn } from '../harness/client';
import { expectProblem } from '../harness/problems';
import { startService, type TestService } from '../harness/service';
import { until } from '../harness/until';

const PASSWORD = 'a password for tests';

describe('POST /tenants with an Idempotency-Key', () => {
  let service: TestService;
  let second: TestService;
  let person: ApiClient;

  beforeAll(async () => {
    service = await startService();
    second = await startService({ database: service.database });
  });
  afterAll(async () => {
    await second.stop();
    await service.stop();
  });
  beforeEach(async () => {
    const registered = await service.tenant();
    const { id, email } = (registered.session as SignedIn).user;
    await service.database.sql('delete from memberships where user_id = $1', [id]);
    const login = await service.client.post('/auth/login', { email, password: PASSWORD });
    expect(login.body.tenant).toBeNull();
    person = new ApiClient(service.url, login.body as SignedIn);
  });

  const userId = () => (person.session as SignedIn).user.id;
  const create = (key: string, name = 'Acme', at = person) => at.post('/tenants', { name }, { 'idempotency-key': key });
  const memberships = () => service.database.sql('select tenant_id from memberships where user_id = $1', [userId()]);

  it('makes one tenant, and gives the stored response byte for byte, in another process too', async () => {
    const made = await create('one');
    expect([made.status, made.body.tenant.name]).toEqual([201, 'Acme']);
    for (const at of [person, new ApiClient(second.url, person.session)]) {
      const again = await create('one', 'Acme', at);
      expect([again.status, again.text, again.headers.get('idempotency-replayed')]).toEqual([201, made.text, 'true']);
    }
    expect((await new ApiClient(service.url, made.body as SignedIn).get('/orders')).status).toBe(200);
    expect(await memberships()).toHaveLength(1);
    expectProblem(await create('one', 'Another'), 'idempotency_key_reused');
    expect((await create('two')).status).toBe(201);
    expect(await memberships()).toHaveLength(2);
    // The key is the person's own: another one's is another key.
    const other = await service.tenant();
    expect((await create('one', 'Acme', other)).headers.get('idempotency-replayed')).toBeNull();
  });

  it('makes one tenant of twenty requests at once, in two processes', async () => {
    const responses = await Promise.all(
      Array.from({ length: 20 }, (_, at) =>
        create('many', 'Acme', at % 2 ? person : new ApiClient(second.url, person.session)),
      ),
    );
    const made = responses.filter(({ status }) => status === 201);
    expect(made.length).toBeGreaterThan(0);
    expect(new Set(made.map(({ text }) => text)).size).toBe(1);
    for (const response of responses.filter(({ status }) => status !== 201))
      expectProblem(response, 'idempotency_in_progress');
    expect(await memberships()).toHaveLength(1);
  });

  it('continues after an interrupted first request, and if its response cannot be decrypted', async () => {
    const made = await create('cut');
    for (const change of [`body = null, created_at = now() - interval '1 minute'`, `body = 'x1.lost.AAAA'`]) {
      await service.database.sql(`update account_idempotency_keys set ${change} where user_id = $1`, [userId()]);
      const again = await create('cut');
      expect([again.status, again.body.tenant]).toEqual([201, made.body.tenant]);
      expect((await create('cut')).text).toBe(again.text);
    }
    expect(await memberships()).toHaveLength(1);
    await service.database.sql(
      `update account_idempotency_keys set body = null, created_at = now() where user_id = $1`,
      [userId()],
    );
    expectProblem(await create('cut'), 'idempotency_in_progress');
  });

  it('keeps no token in clear, and nothing for longer than a day', async () => {
    const { access_token, refresh_token } = (await create('secret')).body as SignedIn;
    const [row] = await service.database.sql<{ text: string; in_hours: string }>(
      `select k::text as text, extract(epoch from expires_at - created_at) / 3600 as in_hours
         from account_idempotency_keys k where user_id = $1`,
      [userId()],
    );
    for (const token of [access_token, refresh_token]) expect(row?.text).not.toContain(token);
    expect(Number(row?.in_hours)).toBe(24);
    await service.database.sql(`update account_idempotency_keys set expires_at = now() where user_id = $1`, [userId()]);
    expect((await create('secret')).headers.get('idempotency-replayed')).toBeNull();
  });

  it('makes none that a deletion of the account at the same moment would leave without an owner', async () => {
    const holder = new Client({ connectionString: service.database.ownerUrl });
    await holder.connect();
    const waiting = async (): Promise<number> => {
      const rows = await service.database.sql(
        `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
      );
      return rows.length;
    };
    try {
      await holder.query('begin; lock table memberships in exclusive mode');
      const made = create('late');
      await until('the tenant to wait for its membership', async () => (await waiting()) > 0);
      let deleted: number | undefined;
      const deleting = person.delete('/auth/me').then(({ status }) => (deleted = status));
      await until('the deletion to end or to wait', async () => deleted !== undefined || (await waiting()) > 1);
      await holder.query('rollback');
      await Promise.all([made, deleting]);
      const [user] = await service.database.sql('select erase_at from users where id = $1', [userId()]);
      expect([deleted, await memberships(), user]).toEqual([422, [expect.anything()], { erase_at: null }]);
    } finally {
      await holder.end();
    }
  });
});
