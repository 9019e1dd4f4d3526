import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { UsageError } from '../../src/processes/lifecycle';
import { admin, adminEnv, adminJson } from '../harness/admin';
import type { ApiClient } from '../harness/client';
import { contentsOf } from '../harness/contents';
import { createTestDatabase, type TestDatabase } from '../harness/databases';
import { runProcess } from '../harness/run-process';
import { newEmail, startService, type TestService } from '../harness/service';
import { untilRevoked } from '../harness/until';
import { buildOnce } from '../harness/service-process';

const NOBODY = '0198c0de-7a11-7000-8000-00000000dead';

describe('the role admin', () => {
  let database: TestDatabase;
  let service: TestService;
  let acme: ApiClient;
  let bolt: ApiClient;
  let folder: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'admin-'));
    database = await createTestDatabase();
    service = await startService({ database });
    acme = await service.tenant('Acme');
    bolt = await service.tenant('Bolt red');
    // A name from before the rule that refuses such marks.
    await database.sql('update tenants set name = $2 where id = $1', [bolt.tenantId, 'Bolt \u202ered']);
  });
  afterAll(async () => {
    await service?.stop();
    await database?.drop();
    rmSync(folder, { recursive: true });
  });

  describe('as a process', () => {
    beforeAll(buildOnce);

    it('lists its commands, each of which explains itself', async () => {
      const overview = await runProcess(['admin', '--help']);
      expect(overview).toMatchObject({ code: 0, stderr: '' });
      const commands = [...overview.stdout.matchAll(/^ {2}([a-z-]+(?: [a-z-]+)?) {2,}\S/gm)].map(
        ([, name = '']) => name,
      );
      expect(commands.sort()).toEqual(
        [
          ...[
            'audit verify',
            'citus isolate',
            'citus move',
            'citus rebalance',
            'config',
            'invitations link',
            'encryption-keys list',
            'encryption-keys new',
            'encryption-keys forget',
            'encryption-keys reencrypt',
            'users list',
            'users reset-link',
            'users reset-second-factor',
            'api-keys list',
            'api-keys revoke',
            'tenants set-owner',
            'mail allow',
            'mail test',
            'shards set',
          ],
          ...['prune', 'replay', 'retry', 'seed', 'tenants create', 'tenants delete', 'tenants list', 'tenants relax'],
          ...['tenants resume', 'tenants show', 'tenants suspend'],
        ].sort(),
      );
      for (const name of commands) {
        const { lines, failed } = await admin(database, [...name.split(' '), '--help']);
        expect(lines.join('\n')).toMatch(
          new RegExp(
            `^Usage: admin ${name} [^]*\\.\\n[^]*--dry-run +changes nothing[^]*--json +prints one JSON object`,
          ),
        );
        expect(failed).toBe(false);
      }
      expect((await admin(database, ['encryption-keys', '--help'])).lines.join('\n')).not.toContain('tenants list');
    });

    it('prints JSON on stdout, and ends with 0', async () => {
      const { code, stdout, stderr } = await runProcess(['admin', 'tenants', 'list', '--json'], adminEnv(database));
      expect([code, stderr]).toEqual([0, '']);
      expect(JSON.parse(stdout)).toMatchObject({ data: [{ name: 'Acme', suspended_at: null }, {}], next_after: null });
    });

    it('ends with 1 and a line for an unknown object', async () => {
      expect(await runProcess(['admin', 'tenants', 'suspend', NOBODY], adminEnv(database))).toEqual({
        code: 1,
        stdout: '',
        stderr: `Tenant '${NOBODY}' not found\n`,
      });
    });

    it('ends with 2 and a line for a usage error', async () => {
      const stderr = "admin: unknown command 'explode'; see admin --help\n";
      expect(await runProcess(['admin', 'explode'], adminEnv(database))).toEqual({ code: 2, stdout: '', stderr });
    });

    it('prints the configuration with secrets masked, and where each value comes from', async () => {
      const file = join(folder, 'redis-url');
      writeFileSync(file, 'rediss+sentinel://:s3cret-of-redis@cache:26379/main?sentinel_password=s3cret-too\n');
      const env = {
        DATABASE_URL: 'postgres://app_service:s3cret-password@db:5432/orders?sslpassword=s3cret-key',
        JWT_SECRET: 's3cret that signs every access token',
        REDIS_URL_FILE: file,
        PORT: '8080',
      };
      const { code, stdout } = await runProcess(['admin', 'config'], env);
      expect(code).toBe(0);
      expect(stdout.split('\n')).toEqual(
        expect.arrayContaining([
          'DATABASE_URL=postgres://app_service:***@db:5432/orders?***  (environment)',
          'REDIS_URL=rediss+sentinel://:***@cache:26379/main?***  (file)',
          'JWT_SECRET=***  (environment)',
          'ENCRYPTION_KEYS=  (not set)',
          'PORT=8080  (environment)',
          'HOST=127.0.0.1  (default)',
        ]),
      );
      const json = await runProcess(['admin', 'config', '--json'], env);
      expect(JSON.parse(json.stdout)).toHaveProperty('variables');
      expect(stdout + json.stdout).not.toContain('s3cret');
    });
  });

  describe('a command line', () => {
    it.each([
      [['tenants'], 'admin tenants: no command is named; see admin tenants --help'],
      [['tenants', 'lst'], "admin tenants: unknown command 'lst' (Did you mean list?); see admin tenants --help"],
      [['tenants', 'show'], "admin tenants show: missing required argument 'id'; see admin tenants show --help"],
      [
        ['tenants', 'show', NOBODY, 'more'],
        "admin tenants show: too many arguments for 'show'. Expected 1 argument but got 2; see admin tenants show --help",
      ],
      [
        ['tenants', 'list', '--limit'],
        expect.stringMatching(/^admin tenants list: option '--limit <n>' argument missing;/),
      ],
      [
        ['replay', '--event', NOBODY],
        expect.stringMatching(/^admin replay: required option '--tenant <id>' not specified;/),
      ],
      [['tenants', 'show', 'acme'], 'the tenant must be a UUID'],
      [['prune', '--now'], "admin prune: unknown option '--now'; see admin prune --help"],
      [['replay', '--tenant', NOBODY], 'say either --event or --endpoint'],
      [
        ['replay', '--tenant', NOBODY, '--endpoint', NOBODY, '--since', 'yesterday'],
        '--since must be a time in UTC, such as 2026-01-31T12:00:00Z, or a day',
      ],
      [['encryption-keys', 'new', 'no spaces'], 'a key id is 1 to 32 of A-Z a-z 0-9 _ -'],
      [['seed', '--email', 'nobody'], expect.stringMatching(/^email /)],
    ])('refuses %j', async (args, message: unknown) => {
      const refused = admin(database, args);
      await expect(refused).rejects.toBeInstanceOf(UsageError);
      await expect(refused).rejects.toMatchObject({ message });
    });
  });

  describe('tenants', () => {
    it('are listed page by page, with nothing in their names that a terminal would obey', async () => {
      const first = await admin(database, ['tenants', 'list', '--limit', '1']);
      expect(first.lines).toEqual([
        expect.stringMatching(/^\S{36} {2}active .*Acme$/),
        `more: --after ${acme.tenantId}`,
      ]);
      const { lines } = await admin(database, ['tenants', 'list', '--after', acme.tenantId]);
      expect(lines).toEqual([expect.stringMatching(/ {2}Bolt \?red$/)]);
      expect(await adminJson(database, ['tenants', 'list', '--suspended'])).toEqual({ data: [], next_after: null });
    });

    it('are shown with their people and endpoints', async () => {
      expect(await adminJson(database, ['tenants', 'show', acme.tenantId])).toEqual({
        id: acme.tenantId,
        name: 'Acme',
        created_at: acme.session?.tenant.created_at,
        suspended_at: null,
        endpoints: 0,
        member_count: 1,
        members: [{ id: acme.session?.user.id, role: 'owner', email: acme.session?.user.email }],
      });
    });

    it('that are suspended are out within two seconds and cannot sign in, until they are resumed', async () => {
      const signIn = () =>
        service.client.post('/auth/login', { email: acme.session?.user.email, password: 'a password for tests' });
      expect((await acme.get('/orders')).status).toBe(200);
      const suspended = await adminJson(database, ['tenants', 'suspend', acme.tenantId]);
      expect(suspended).toMatchObject({ id: acme.tenantId, changed: true, suspended_at: expect.any(String) });
      await untilRevoked('the end of the session', async () => (await acme.get('/orders')).status === 401);
      expect((await signIn()).body).toMatchObject({ tenant: null, refused: { reason: 'suspended' } });
      expect((await bolt.get('/orders')).status).toBe(200);
      expect(await adminJson(database, ['tenants', 'list', '--suspended'])).toMatchObject({
        data: [{ id: acme.tenantId }],
      });

      const again = await admin(database, ['tenants', 'suspend', acme.tenantId]);
      expect(again.lines).toEqual([`${acme.tenantId} (Acme) is suspended since ${suspended.suspended_at} already`]);

      const resumed = await admin(database, ['tenants', 'resume', acme.tenantId]);
      expect(resumed.lines).toEqual([`resumed ${acme.tenantId} (Acme)`]);
      await untilRevoked('the session again', async () => (await acme.get('/orders')).status === 200);
      expect((await signIn()).status).toBe(200);
    });

    it('stay as they are in a dry run', async () => {
      const before = await contentsOf(database);
      const dry = await admin(database, ['tenants', 'suspend', acme.tenantId, '--dry-run']);
      expect(dry.lines).toEqual([`would suspend ${acme.tenantId} (Acme)`]);
      expect(await contentsOf(database)).toEqual(before);
    });
  });

  describe('seed', () => {
    it('makes a tenant with orders, whose owner signs in with the password it prints', async () => {
      const email = newEmail();
      const made = await adminJson(database, ['seed', '--email', email, '--orders', '3', '--tenant-name', 'Trial Ltd']);
      const login = await service.client.post('/auth/login', { email, password: made.password });
      expect(login).toMatchObject({ status: 200, body: { tenant: { id: made.tenant_id, name: 'Trial Ltd' } } });
      const orders = await service.client.withToken(login.body.access_token).get('/orders');
      expect(orders.body.data).toHaveLength(3);

      await expect(admin(database, ['seed', '--email', email.toUpperCase()])).rejects.toMatchObject({
        code: 'conflict',
      });
    });

    it('takes the password from a file, and then does not print it', async () => {
      const file = join(folder, 'password');
      writeFileSync(file, 'a password from a file\n');
      const email = newEmail();
      const args = ['seed', '--email', email, '--orders', '0', '--password-file', file];
      expect((await admin(database, args)).lines).toEqual([
        expect.stringMatching(/^made \S{36} \(Demo Ltd\) with 0 orders, owned by /),
      ]);
      const login = await service.client.post('/auth/login', { email, password: 'a password from a file' });
      expect(login.status).toBe(200);
    });

    it('makes nothing in a dry run, and finds the same faults', async () => {
      const before = await contentsOf(database);
      const email = newEmail();
      const dry = await admin(database, ['seed', '--email', email, '--dry-run']);
      expect(dry.lines).toEqual([`would make Demo Ltd with 36 orders, owned by ${email}`]);
      const known = acme.session?.user.email as string;
      await expect(admin(database, ['seed', '--email', known, '--dry-run'])).rejects.toMatchObject({
        code: 'conflict',
      });
      expect(await contentsOf(database)).toEqual(before);
    });
  });

  describe('the operator’s role', () => {
    it('cannot be taken on by the service’s login', async () => {
      const login = new Client({ connectionString: database.serviceUrl });
      await login.connect();
      await expect(login.query('set role app_operator')).rejects.toMatchObject({ code: '42501' });
      await login.end();
      // Without the owner's URL a command that needs it reports this, and does nothing.
      const args = ['tenants', 'suspend', acme.tenantId];
      await expect(admin(database, args, { MIGRATION_DATABASE_URL: '' })).rejects.toMatchObject({ code: '42501' });
    });

    it('sees the list of tenants and nothing that is theirs, and changes no more than whether they are suspended', async () => {
      const refused = [
        ...(
          await database.sql<{ name: string }>(
            `select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' and relname not in ('tenants', 'tenant_auth_state', 'webhook_shards')`,
          )
        ).map(({ name }) => `select from ${name}`),
        `update tenants set name = 'Mine'`,
        'delete from tenants',
        `insert into tenants values ('${NOBODY}', 'x', now(), null)`,
      ];
      expect(refused.length).toBeGreaterThan(10);
      const owner = new Client({ connectionString: database.ownerUrl });
      await owner.connect();
      await owner.query('set role app_operator');
      for (const text of refused) {
        await expect(owner.query(text).then(() => text)).rejects.toMatchObject({ code: '42501' });
      }
      expect((await owner.query('select id from tenants')).rowCount).toBeGreaterThan(1);
      await owner.end();
    });
  });
});
