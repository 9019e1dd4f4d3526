import { revertLast, migrationClasses } from '../../src/platform/database/migrate/migrations';
import { citusUrls, createOwnedDatabase, type OwnedDatabase } from '../harness/citus';
import { type ApiResponse, orderInput } from '../harness/client';
import { startService } from '../harness/service';

const urls = citusUrls();
const onCitus = urls.length > 0 ? describe : describe.skip;

onCitus('a database whose owner is no superuser', () => {
  let database: OwnedDatabase;

  beforeEach(async () => {
    database = await createOwnedDatabase(urls);
  });
  afterEach(() => database.drop());

  /** Tables whose row-level security is not forced, on any server, shards included. */
  async function unforced(): Promise<unknown[]> {
    const found: unknown[] = [];
    for (const server of urls.keys()) {
      found.push(
        ...(await database.sqlOn(
          server,
          `select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'
              and relrowsecurity and not relforcerowsecurity`,
        )),
      );
    }
    return found;
  }

  it('with rows is distributed with them, and serves them', async () => {
    await database.migrate();
    const before = await startService({ database });
    const tenant = await before.tenant();
    const session = tenant.session as NonNullable<typeof tenant.session>;
    const made: string[] = [];
    for (let i = 0; i < 30; i++) made.push((await tenant.createOrder()).id as string);
    await before.app.close();
    // The previous release writes none.
    await database.sql('delete from user_tenants');
    await database.joinServers();
    await database.migrate();
    const after = await startService({ database });
    try {
      const signedIn = await after.client.post('/auth/login', {
        email: session.user.email,
        password: 'a password for tests',
      });
      expect(signedIn.status).toBe(200);
      const client = after.client.withToken(signedIn.body.access_token as string);
      const ids: string[] = [];
      for (let next: string | null = '/orders?limit=20'; next !== null;) {
        const page: ApiResponse = await client.get(next);
        ids.push(...(page.body.data as { id: string; items: unknown[] }[]).map(({ id }) => id));
        next = page.body.has_more ? `/orders?limit=20&cursor=${page.body.next_cursor as string}` : null;
      }
      expect(ids.sort()).toEqual(made.sort());
      expect((await client.post('/orders', orderInput())).status).toBe(201);
      const [rows] = await database.sql<{ count: number }>('select count(*)::int as count from order_items');
      expect(rows?.count).toBeGreaterThanOrEqual(30);
      expect(await unforced()).toEqual([]);
    } finally {
      await after.app.close();
    }
  });

  it('is upgraded by each migration while it is distributed, and downgraded', async () => {
    const all = migrationClasses();
    await database.joinServers();
    await database.migrate(3);
    for (let count = 4; count <= all.length; count++) {
      expect([count, await database.migrate(count)]).toEqual([count, [all[count - 1]?.name]]);
    }
    expect(await unforced()).toEqual([]);
    for (let count = all.length; count > 3; count--) await revertLast(database.ownerUrl, all);
    expect(await database.migrate()).toHaveLength(all.length - 3);
    expect(await unforced()).toEqual([]);
  });
});
