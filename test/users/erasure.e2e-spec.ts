import { Erasures } from '../../src/audit/folding/erasures';
import { PERSON_TABLES } from '../../src/processes/tables';
import { ErasureJob } from '../../src/users/erasure';
import { ApiClient, type SignedIn } from '../harness/client';
import { addMember, personOf } from '../harness/members';
import { expectProblem } from '../harness/problems';
import { newEmail, startService, type TestService } from '../harness/service';
import { until } from '../harness/until';
import { startWorker, type TestWorker } from '../harness/worker';

const PASSWORD = 'a password for tests';
const DAY_MS = 86_400_000;
/** Columns that name a person and hold nothing else of the person: ids of authors, and counters. */
const IDS_ONLY =
  /^(api_keys\.(created_by|user_id)|audit_erasures\.|audit_personal\.|events\.aggregate_id|tenant_auth_state\.|tenant_exports\.)/;

describe('the erasure of persons', () => {
  let service: TestService;
  let workers: TestWorker[];
  let owner: ApiClient;
  let person: ApiClient;

  beforeAll(async () => {
    service = await startService({ env: { MAIL_DIRECTORY: '/nowhere' } });
    workers = [await startWorker(service.database), await startWorker(service.database)];
  });
  afterAll(async () => {
    for (const worker of workers) await worker.stop();
    await service.stop();
  });
  beforeEach(async () => {
    owner = await service.tenant();
    person = await addMember(service, owner, 'member');
    // The person's first tenant would be left without an owner.
    await service.database.sql(`update memberships set role = 'member' where user_id = $1`, [personOf(person)]);
  });

  /** One concurrent round of each worker, at a time. @returns the number of persons that they erased together */
  const erase = async (at: Date): Promise<number> => {
    const erased = await Promise.all(workers.map((worker) => worker.app.get(ErasureJob, { strict: false }).run(at)));
    return erased.reduce((sum, one) => sum + one, 0);
  };
  const later = () => new Date(Date.now() + 31 * DAY_MS);
  const emailOf = (client: ApiClient) => (client.session as SignedIn).user.email;
  const login = (email: string) => service.client.post('/auth/login', { email, password: PASSWORD });
  const kept = (userId: string) =>
    service.database.sql(`select id from users where id = $1 union all select id from sessions where user_id = $1`, [
      userId,
    ]);

  it('comes 30 days after the deletion, once, and frees the address', async () => {
    const email = emailOf(person);
    expect((await person.delete('/auth/me')).status).toBe(202);
    await login(email);
    expect(await erase(new Date())).toBe(0);
    expect((await kept(personOf(person))).length).toBeGreaterThan(1);
    expect(await erase(new Date(Date.now() + 29 * DAY_MS))).toBe(0);
    expect([await erase(later()), await kept(personOf(person))]).toEqual([1, []]);
    expectProblem(await login(email), 'unauthorized');
    const again = await service.client.post('/auth/register', { email, password: PASSWORD, tenant_name: 'Anew' });
    expect(again.status).toBe(201);
  });

  it('does not happen if the account was restored, also during the erasure', async () => {
    const restored = await addMember(service, owner, 'member');
    await service.database.sql(`update memberships set role = 'member' where user_id = $1`, [personOf(restored)]);
    expect((await restored.delete('/auth/me')).status).toBe(202);
    const session = new ApiClient(service.url, (await login(emailOf(restored))).body as SignedIn);
    const [response, erased] = await Promise.all([session.post('/auth/me/restore'), erase(later())]);
    const after = await login(emailOf(restored));
    // One of the two wins, and the other leaves no half of an account.
    expect([response.status, erased, after.status]).toEqual(response.status === 200 ? [200, 0, 200] : [401, 1, 401]);
    expect((await person.delete('/auth/me')).status).toBe(202);
    const own = new ApiClient(service.url, (await login(emailOf(person))).body as SignedIn);
    expect((await own.post('/auth/me/restore')).status).toBe(200);
    expect(await erase(later())).toBe(0);
    expect((await login(emailOf(person))).status).toBe(200);
  });

  it('leaves nothing of the person but ids, in no table, and proofs of the log whole', async () => {
    const email = emailOf(person);
    await person.patch('/auth/me', { name: 'Ada Erased' });
    expect((await person.post('/auth/totp')).status).toBe(201);
    expect((await person.post('/auth/email', { email: newEmail() })).status).toBe(202);
    const userId = personOf(person);
    const logged = `select 1 from audit_personal where user_id = '${userId}' or data::text ilike '%Ada Erased%'`;
    expect(await service.database.sql(logged)).not.toEqual([]);
    expect((await person.delete('/auth/me')).status).toBe(202);
    expect(await erase(later())).toBe(1);
    const columns = await service.database.sql<{ table: string; name: string }>(
      `select c.relname as table, a.attname as name from pg_attribute a join pg_class c on c.oid = a.attrelid
        where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped
          and a.atttypid = 'uuid'::regtype`,
    );
    for (const { table, name } of columns) {
      if (IDS_ONLY.test(`${table}.${name}`)) continue;
      const rows = await service.database.sql(`select 1 from ${table} where ${name} = $1 limit 1`, [userId]);
      expect([`${table}.${name}`, rows]).toEqual([`${table}.${name}`, []]);
    }
    await workers[0]?.app.get(Erasures, { strict: false }).carryOut();
    expect(await service.database.sql(logged)).toEqual([]);
    const tables = await service.database.sql<{ name: string }>(
      `select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'`,
    );
    // Events about members that endpoints received stay as long as other events.
    for (const { name } of tables.filter((table) => table.name !== 'events')) {
      const rows = await service.database.sql(`select 1 from ${name} t where t::text ilike $1 or t::text ilike $2`, [
        `%${email}%`,
        '%Ada Erased%',
      ]);
      expect([name, rows]).toEqual([name, []]);
    }
    const [entry] = (await owner.get(`/audit-log?actor_id=${userId}&limit=1`)).body.data as { id: string }[];
    await until('the entry is proved', async () => {
      const { size } = (await owner.get('/audit-log/checkpoint')).body as { size: number };
      return (await owner.get(`/audit-log/${entry?.id}/proof?size=${size}`)).status === 200;
    });
  });

  it('continues after an account that cannot be erased', async () => {
    const stuck = await addMember(service, owner, 'member');
    for (const client of [stuck, person]) {
      await service.database.sql('delete from memberships where user_id = $1', [personOf(client)]);
      await service.database.sql(`update users set erase_at = now() - interval '1 day' where id = $1`, [
        personOf(client),
      ]);
    }
    await service.database.sql(
      `create table holds (user_id uuid references users (id));
       insert into holds values ('${personOf(stuck)}')`,
    );
    try {
      expect(await erase(new Date())).toBe(1);
      expect(workers.flatMap(({ logLines }) => logLines).join('')).toContain('an account could not be erased');
    } finally {
      await service.database.sql('drop table holds');
    }
    expect(await erase(new Date())).toBe(1);
  });

  it('has a line for every table with a column of a person', async () => {
    const columns = await service.database.sql<{ table: string; name: string }>(
      `select c.relname as table, a.attname as name from pg_attribute a join pg_class c on c.oid = a.attrelid
        where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and not a.attisdropped
          and a.attname in ('user_id', 'subject_id')`,
    );
    const declared = PERSON_TABLES.map(({ table, column }) => `${table}.${column}`);
    for (const { table, name } of columns) {
      const place = `${table}.${name}`;
      expect([place, declared.includes(place) || IDS_ONLY.test(place)]).toEqual([place, true]);
    }
  });
});
