import { tmpdir } from 'node:os';
import { TenantErasure } from '../../src/tenants/erasure/tenant-erasure';
import { ErasureJob } from '../../src/users/erasure';
import {
  citusUrls,
  createDistributedDatabase,
  createFakeDistributedDatabase,
  type DistributedDatabase,
} from '../harness/citus';
import { ApiClient, type SignedIn } from '../harness/client';
import { createTestDatabase, type TestDatabase } from '../harness/databases';
import { tokenTo } from '../harness/mails';
import { personOf } from '../harness/members';
import { newEmail, startService, type TestService } from '../harness/service';
import { fillTenant } from '../harness/tenant-rows';
import { startWorker, type TestWorker } from '../harness/worker';

const PASSWORD = 'a password for tests';
const databases: [string, () => Promise<TestDatabase | DistributedDatabase>][] = [
  ['PostgreSQL', createTestDatabase],
  ['PostgreSQL that says it has Citus', createFakeDistributedDatabase],
];
const urls = citusUrls();
if (urls.length > 0) databases.push(['a real Citus', () => createDistributedDatabase(urls)]);

/** The table by which Citus finds the servers of a person's tenants; on Citus alone it is read. */
describe.each(databases)('the tenants of each person, on %s', (_, create) => {
  let database: TestDatabase;
  let service: TestService;
  let worker: TestWorker;
  let owner: ApiClient;

  beforeAll(async () => {
    database = await create();
    service = await startService({ database, env: { MAIL_DIRECTORY: tmpdir() } });
    worker = await startWorker(database);
    owner = await service.tenant();
  });
  afterAll(async () => {
    await worker?.stop();
    await service?.stop();
    await database?.drop();
  });
  /** They always are those of the memberships. */
  afterEach(async () => {
    const pairs = (table: string): Promise<unknown[]> =>
      database.sql(`select tenant_id, user_id from ${table} order by tenant_id, user_id`);
    expect(await pairs('user_tenants')).toEqual(await pairs('memberships'));
  });

  const tenantsOf = async (userId: string): Promise<string[]> =>
    (await database.sql<{ id: string }>('select tenant_id as id from user_tenants where user_id = $1', [userId]))
      .map(({ id }) => id)
      .sort();

  /** A person who has joined the owner's tenant by an invitation. */
  async function join(role = 'member'): Promise<ApiClient> {
    const email = newEmail();
    expect((await owner.post('/invitations', { email, role })).status).toBe(201);
    const token = await tokenTo(service, email, 'invitation');
    const joined = await service.client.post('/auth/invitations/accept', { token, password: PASSWORD });
    expect(joined.status).toBe(200);
    return new ApiClient(service.url, joined.body as SignedIn);
  }

  it('hold those of registration, an invitation and a new tenant, which the person is shown', async () => {
    expect(await tenantsOf(personOf(owner))).toEqual([owner.tenantId]);
    const person = await join();
    const made = await person.post('/tenants', { name: 'Second Ltd' });
    expect(made.status).toBe(201);
    const both = [owner.tenantId, made.body.tenant.id as string].sort();
    expect(await tenantsOf(personOf(person))).toEqual(both);
    const listed = (await person.get('/auth/tenants')).body.data as { id: string }[];
    expect(listed.map(({ id }) => id).sort()).toEqual(both);
    const signedIn = await service.client.post('/auth/login', {
      email: (person.session as SignedIn).user.email,
      password: PASSWORD,
    });
    expect([signedIn.status, signedIn.body.tenant.id]).toEqual([200, made.body.tenant.id]);
  });

  it('lose those that the person leaves, or is removed from', async () => {
    const [leaving, removed] = [await join(), await join()];
    expect((await leaving.delete(`/members/${personOf(leaving)}`)).status).toBe(204);
    expect((await owner.delete(`/members/${personOf(removed)}`)).status).toBe(204);
    for (const person of [leaving, removed]) expect(await tenantsOf(personOf(person))).toEqual([]);
    const again = await service.client.post('/auth/login', {
      email: (removed.session as SignedIn).user.email,
      password: PASSWORD,
    });
    expect([again.status, again.body.tenant]).toEqual([200, null]);
  });

  it('lose those that the person declines', async () => {
    const person = await service.tenant();
    const { user } = person.session as SignedIn;
    expect((await service.client.post('/auth/password/forgot', { email: user.email })).status).toBe(202);
    const token = await tokenTo(service, user.email, 'reset_password');
    const reset = { token, password: 'another password of tests' };
    expect((await service.client.post('/auth/password/reset', reset)).status).toBe(204);
    const login = await service.client.post('/auth/login', { email: user.email, password: reset.password });
    expect(await tenantsOf(user.id)).toEqual([person.tenantId]);
    const claimant = new ApiClient(service.url, login.body as SignedIn);
    expect((await claimant.post(`/auth/tenants/${person.tenantId}/decline`)).status).toBe(204);
    expect(await tenantsOf(user.id)).toEqual([]);
  });

  it('are deleted with the account, and after its erasure', async () => {
    const person = await join();
    expect((await person.delete('/auth/me')).status).toBe(202);
    expect(await tenantsOf(personOf(person))).toEqual([]);
    // Such as a membership of a directory that came later.
    const row = [owner.tenantId, personOf(person)];
    await database.sql(
      `insert into memberships (tenant_id, user_id, role, created_at, last_used_at) values ($1, $2, 'viewer', now(), now())`,
      row,
    );
    await database.sql('insert into user_tenants (tenant_id, user_id) values ($1, $2)', row);
    const later = new Date(Date.now() + 31 * 86_400_000);
    expect(await worker.app.get(ErasureJob, { strict: false }).run(later)).toBe(1);
    expect(await tenantsOf(personOf(person))).toEqual([]);
  });

  it('are deleted with an erased tenant', async () => {
    const closing = await service.tenant();
    expect((await closing.delete('/tenant')).status).toBe(202);
    expect(await tenantsOf(personOf(closing))).toEqual([closing.tenantId]);
    await database.sql(`update tenants set closed_at = now() - interval '31 days' where id = $1`, [closing.tenantId]);
    await worker.app.get(TenantErasure, { strict: false }).run();
    expect(await tenantsOf(personOf(closing))).toEqual([]);
  });

  it('reserve the membership of a founder who has left within five minutes', async () => {
    const founder = await service.tenant();
    const email = newEmail();
    expect((await founder.post('/invitations', { email, role: 'owner' })).status).toBe(201);
    const token = await tokenTo(service, email, 'invitation');
    const joined = await service.client.post('/auth/invitations/accept', { token, password: PASSWORD });
    expect(joined.status).toBe(200);
    expect((await founder.delete(`/members/${personOf(founder)}`)).status).toBe(204);
    const founders = await database.sql<{ user_id: string }>(
      'select user_id from memberships where tenant_id = $1 and founder',
      [founder.tenantId],
    );
    expect(founders).toEqual([{ user_id: joined.body.user.id }]);
    // What the sign-in role could write before.
    const written = database.sql(
      `insert into memberships (tenant_id, user_id, role, created_at, last_used_at, founder)
       values ($1, $2, 'owner', now(), now(), true)`,
      [founder.tenantId, personOf(owner)],
    );
    await expect(written).rejects.toMatchObject({ code: '23505' });
  });
});

it('the tenants of each person are filled in when `migrate` distributes them, with those of the previous release', async () => {
  const database = await createFakeDistributedDatabase();
  try {
    const { tenantId, rows } = await fillTenant(database);
    const { user_id: userId } = rows.get('memberships') as { user_id: string };
    await database.sql('delete from user_tenants');
    await database.sql(`delete from fake_citus.calls where logicalrelid = 'user_tenants'::regclass`);
    await database.migrate();
    const filled = 'select tenant_id, user_id from user_tenants';
    expect(await database.sql(filled)).toEqual([{ tenant_id: tenantId, user_id: userId }]);
    await database.sql('delete from user_tenants');
    await database.migrate();
    // Once it is distributed, the service alone writes it.
    expect(await database.sql(filled)).toEqual([]);
  } finally {
    await database.drop();
  }
});
