import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { migrate } from '../../src/platform/database/migrate/migrations';
import { adminUrl, SERVICE_PASSWORD, type TestDatabase, withLogin } from '../harness/databases';
import { DebianPostgres, findDebianPostgres } from '../harness/debian-postgres';
import { createEndpoint } from '../harness/endpoints';
import { makeKey } from '../harness/members';
import { JWT_SECRET, startService } from '../harness/service';
import { addAuthenticator } from '../harness/totp';

const ROOT = join(__dirname, '..', '..');
const bin = findDebianPostgres();

interface Ended {
  code: number | null;
  output: string;
}

/** Runs the drill as an operator would. */
function drill(args: string[], env: Record<string, string> = {}): Promise<Ended> {
  const child = spawn(process.execPath, ['scripts/restore-drill.mjs', ...args], {
    cwd: ROOT,
    env: { PATH: process.env.PATH, PG_BIN: bin, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (output += data.toString()));
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, output })));
}

/** Names of databases that drills have left on the spare server. */
async function leftovers(): Promise<string[]> {
  const client = new Client({ connectionString: adminUrl() });
  await client.connect();
  try {
    const { rows } = await client.query<{ datname: string }>(
      `select datname from pg_database where datname like 'restore_drill_%'`,
    );
    return rows.map(({ datname }) => datname);
  } finally {
    await client.end();
  }
}

(bin ? describe : describe.skip)('the restore drill', () => {
  let server: DebianPostgres;
  let folder: string;
  let dump: string;
  let order: { id: string; total_amount: string };
  let token: string | undefined;
  const serviceUrlOf = (database: string): string => withLogin(server.url(database), 'app_service', SERVICE_PASSWORD);

  // The dump is of Debian's PostgreSQL; it is restored into the embedded one too, which is of a newer major version.
  beforeAll(async () => {
    server = await DebianPostgres.start(bin as string);
    await server.sql('postgres', 'create role orders_owner login createrole');
    await server.sql('postgres', 'create database orders owner orders_owner');
    const serviceUrl = serviceUrlOf('orders');
    await migrate({ serviceUrl, migrationUrl: server.url('orders', 'orders_owner'), statementTimeout: 15_000 });
    const service = await startService({ database: { serviceUrl } as TestDatabase });
    try {
      const tenant = await service.tenant();
      await createEndpoint(tenant, 'https://example.com/hooks');
      await makeKey(tenant);
      await addAuthenticator(service, tenant);
      await tenant.createOrder();
      order = await tenant.createOrder();
      token = tenant.session?.access_token;
    } finally {
      await service.stop();
    }
    folder = mkdtempSync(join(tmpdir(), 'orders-test-dump-'));
    dump = join(folder, 'orders.dump');
    const made = spawnSync(
      join(bin as string, 'pg_dump'),
      ['--format=custom', `--file=${dump}`, server.url('orders')],
      {
        encoding: 'utf8',
      },
    );
    expect(made).toMatchObject({ status: 0, stderr: '' });
  });

  afterAll(async () => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it('restores a dump, opens its secrets, serves from it, and leaves nothing', async () => {
    const { code, output } = await drill(['--dump', dump, '--server', adminUrl()], { JWT_SECRET });
    expect([code, output]).toEqual([0, expect.stringContaining('The backup restores and serves.')]);
    expect(output).toContain('verify: the database is at the schema of this build');
    expect(output).toMatch(
      /content: 1 tenants, 2 orders, 3 events, \d+ deliveries, 1 members, 1 keys, [5-9] audit entries/,
    );
    expect(output).toContain('secrets: the keys open those of 1 endpoints, 1 second factors, 0 signing keys');
    expect(output).toContain(`serve: read order ${order.id} of ${order.total_amount} USD`);
    expect(await leftovers()).toEqual([]);
  });

  it('makes the dump itself, restores it into a server without the service’s roles, and names the skipped checks', async () => {
    const spare = await DebianPostgres.start(bin as string);
    try {
      const { code, output } = await drill(['--from', server.url('orders'), '--server', spare.url('postgres')]);
      expect([code, output]).toEqual([0, expect.stringContaining('The backup restores and serves.')]);
      expect(output).toContain('secrets: NOT CHECKED');
      expect(output).toMatch(/^roles: .*\bapp_operator\b.*\bapp_service\b/m);
      const databases = await spare.sql('postgres', 'select datname from pg_database where not datistemplate');
      expect(databases).toEqual([{ datname: 'postgres' }]);
    } finally {
      await spare.stop();
    }
  });

  it('equals a real restore, but for the owner, which is kept', async () => {
    await server.sql('postgres', 'create database restored owner orders_owner template template0');
    const args = ['--exit-on-error', '--jobs=2', `--dbname=${server.url('restored')}`, dump];
    const restored = spawnSync(join(bin as string, 'pg_restore'), args, { encoding: 'utf8' });
    expect(restored).toMatchObject({ status: 0, stderr: '' });
    const serviceUrl = serviceUrlOf('restored');
    const migrationUrl = server.url('restored', 'orders_owner');
    expect(await migrate({ serviceUrl, migrationUrl, statementTimeout: 15_000 })).toEqual([]);
    const service = await startService({ database: { serviceUrl } as TestDatabase });
    try {
      expect((await service.client.get('/health/ready')).status).toBe(200);
      const tenant = service.client.withToken(token);
      expect((await tenant.get(`/orders/${order.id}`)).body).toEqual(order);
      expect((await tenant.get('/webhooks/endpoints')).body.data).toHaveLength(1);
      await tenant.createOrder();
      expect((await tenant.get('/orders')).body.data).toHaveLength(3);
    } finally {
      await service.stop();
    }
  });

  it('fails with a dump that is cut off, with keys of something else, and with a login that does not see all rows', async () => {
    const wrong = await drill(['--dump', dump, '--server', adminUrl()], { JWT_SECRET: 'another secret '.repeat(4) });
    expect([wrong.code, wrong.output]).toEqual([1, expect.stringMatching(/FAILED: secrets: .*key 'jwt'/)]);

    const owner = await drill(['--from', server.url('orders', 'orders_owner'), '--server', adminUrl()]);
    expect([owner.code, owner.output]).toEqual([1, expect.stringMatching(/FAILED: dump: [^]*row-level security/)]);

    truncateSync(dump, Math.floor(statSync(dump).size / 2));
    const cut = await drill(['--dump', dump, '--server', adminUrl()]);
    expect([cut.code, cut.output]).toEqual([1, expect.stringMatching(/FAILED: (roles|restore): pg_restore: error/)]);
    expect(await leftovers()).toEqual([]);
  });
});

describe('the restore drill’s arguments', () => {
  it('are one dump, or one server to dump from, and a spare server', async () => {
    expect(await drill(['--help'])).toEqual({ code: 0, output: expect.stringContaining('usage: restore-drill') });
    for (const args of [[], ['--dump', 'x'], ['--dump', 'x', '--from', 'y', '--server', 'z'], ['--nonsense']]) {
      expect((await drill(args)).code).toBe(2);
    }
    const missing = await drill(['--dump', '/nowhere/x.dump', '--server', adminUrl()]);
    expect(missing).toEqual({ code: 1, output: 'FAILED: there is no file /nowhere/x.dump\n' });
  });
});
