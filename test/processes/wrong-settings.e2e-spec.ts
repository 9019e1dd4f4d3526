import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createEmptyDatabase, createTestDatabase, type TestDatabase } from '../harness/databases';
import { runProcess } from '../harness/run-process';
import { buildOnce, startProcess } from '../harness/service-process';
import { until } from '../harness/until';

const ROOT = join(__dirname, '..', '..');
const ENV = { METRICS_PORT: 'off', PORT: '0', JWT_SECRET: 'a secret that has more than 32 bytes' };

describe('a wrong setting ends the process with one line that names the variable', () => {
  let silent: Server;
  let silentPort: number;
  let folder: string;

  beforeAll(async () => {
    buildOnce();
    folder = mkdtempSync(join(tmpdir(), 'wrong-settings-'));
    silent = createServer((socket) => socket.on('error', () => undefined).resume());
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    silentPort = (silent.address() as AddressInfo).port;
  });
  afterAll(() => {
    silent.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it.each([['api'], ['worker'], ['migrate']])('%s: a database that refuses connections', async (role) => {
    const { code, stderr } = await runProcess([role], {
      ...ENV,
      DATABASE_URL: 'postgres://me:zqxj@127.0.0.1:1/orders',
    });
    expect(stderr.trim()).toMatch(/^DATABASE_URL: cannot reach 127\.0\.0\.1:1 \(.*ECONNREFUSED.*\)$/);
    expect(stderr).not.toContain('zqxj');
    expect(code).toBe(1);
  });

  it('api: a database that accepts connections and stays silent', async () => {
    const { code, stderr } = await runProcess(['api'], {
      ...ENV,
      DATABASE_URL: `postgres://me@127.0.0.1:${silentPort}/orders`,
    });
    expect(stderr.trim()).toMatch(new RegExp(`^DATABASE_URL: cannot reach 127\\.0\\.0\\.1:${silentPort} \\(.+\\)$`));
    expect(code).toBe(1);
  });

  it('migrate: names the variable of the owner', async () => {
    const { stderr } = await runProcess(['migrate'], {
      ...ENV,
      DATABASE_URL: 'postgres://me@127.0.0.1:1/orders',
      MIGRATION_DATABASE_URL: 'postgres://owner@127.0.0.1:2/orders',
    });
    expect(stderr).toMatch(/^MIGRATION_DATABASE_URL: cannot reach 127\.0\.0\.1:2 /);
  });

  describe('a database that refuses', () => {
    let database: TestDatabase;
    const other = (url: string, change: (url: URL) => void): string => {
      const changed = new URL(url);
      change(changed);
      return changed.href;
    };

    beforeAll(async () => {
      database = await createEmptyDatabase();
    });
    afterAll(() => database.drop());

    it.each(['api', 'worker'])('%s: a login that migrate has not made', async (role) => {
      const url = other(database.serviceUrl, (changed) => (changed.password = 'zqxj'));
      const { code, stderr } = await runProcess([role], { ...ENV, DATABASE_URL: url, MIGRATIONS_WAIT: '0' });
      expect(stderr).toMatch(
        /^DATABASE_URL: \S+ refuses: password authentication failed .*\(28P01\); migrate makes the login app_service and sets its password: run it first\n$/,
      );
      expect(stderr).not.toContain('zqxj');
      expect(code).toBe(1);
    });

    it('migrate: the login of the service in place of the owner', async () => {
      const { code, stderr } = await runProcess(['migrate'], { ...ENV, DATABASE_URL: database.serviceUrl });
      expect(stderr).toMatch(
        /^DATABASE_URL: \S+ refuses: permission denied .*\(42501\); set MIGRATION_DATABASE_URL to the owner of the tables\n$/,
      );
      expect(code).toBe(1);
    });

    it('migrate: a login that does not exist, in place of the owner', async () => {
      const url = other(database.serviceUrl, (changed) => (changed.username = 'nobody_here'));
      const { stderr } = await runProcess(['migrate'], { ...ENV, DATABASE_URL: url });
      expect(stderr).toMatch(
        /\(28P01\); migrate makes the login of DATABASE_URL as another one: set MIGRATION_DATABASE_URL/,
      );
    });

    it.each(['api', 'worker', 'migrate'])('%s: a name that does not exist', async (role) => {
      const url = other(database.ownerUrl, (changed) => (changed.pathname = '/no_such_database'));
      const { code, stderr } = await runProcess([role], { ...ENV, DATABASE_URL: url });
      expect(stderr).toMatch(
        /^DATABASE_URL: \S+\/no_such_database refuses: .* \(3D000\); create the database, then run migrate\n$/,
      );
      expect(code).toBe(1);
    });

    it.each(['LATIN1', 'SQL_ASCII'])('the encoding %s, before anything is made in it', async (encoding) => {
      const name = `orders_test_${encoding.toLowerCase()}`;
      await database.sql(`create database ${name} template template0 encoding ${encoding} locale 'C'`);
      const url = other(database.ownerUrl, (changed) => (changed.pathname = `/${name}`));
      try {
        for (const role of ['api', 'worker', 'migrate', 'migrate plan']) {
          const { code, stderr } = await runProcess(role.split(' '), { ...ENV, DATABASE_URL: url });
          expect(stderr).toBe(
            `DATABASE_URL: ${new URL(url).host}/${name}: the database has the encoding ${encoding}; create it with encoding UTF8\n`,
          );
          expect(code).toBe(1);
        }
      } finally {
        await database.sql(`drop database ${name}`);
      }
    });

    it('migrate: a database that is read-only', async () => {
      await database.sql(`alter database ${database.name} set default_transaction_read_only = on`);
      const { code, stderr } = await runProcess(['migrate'], { ...ENV, DATABASE_URL: database.ownerUrl });
      await database.sql('set default_transaction_read_only = off');
      await database.sql(`alter database ${database.name} reset default_transaction_read_only`);
      expect(stderr).toMatch(
        /^DATABASE_URL: \S+: the database is read-only; turn default_transaction_read_only off .*\n$/,
      );
      expect(code).toBe(1);
    });

    it('migrate and api: a search path without the tables is no fault', async () => {
      await database.sql(`alter database ${database.name} set search_path = elsewhere`);
      const env = { ...ENV, DATABASE_URL: database.serviceUrl, MIGRATION_DATABASE_URL: database.ownerUrl };
      expect(await runProcess(['migrate'], env)).toMatchObject({ code: 0, stderr: '' });
      const api = startProcess('api', database, { REDIS_URL: 'redis://127.0.0.1:1', DB_POOL_SIZE: '500' });
      await until('the API listens', () => api.output().includes('"listening"'), 20_000);
      await until('the warnings', () => api.output().includes('REDIS_URL') && api.output().includes('DB_POOL_SIZE'));
      const warnings = api
        .output()
        .split('\n')
        .filter((line) => line.includes('"warn"'));
      expect(warnings.map((line) => (JSON.parse(line) as { msg: string }).msg).sort()).toEqual([
        expect.stringMatching(/^DB_POOL_SIZE is 500, and the server accepts \d+ connections .*: lower it, or raise/),
        expect.stringMatching(/^REDIS_URL: cannot reach 127\.0\.0\.1:1 \(.*ECONNREFUSED.*\): each process counts/),
      ]);
      await api.kill('SIGTERM');
    });
  });

  it('worker: names the variable of a server that the leader cannot reach', async () => {
    const database = await createTestDatabase();
    const worker = startProcess('worker', database, { DIRECT_DATABASE_URL: 'postgres://me:zqxj@127.0.0.1:1/orders' });
    await until('the warning', () => worker.output().includes('leader’s connection'), 20_000);
    expect(worker.output()).toMatch(/DIRECT_DATABASE_URL: cannot reach 127\.0\.0\.1:1 \(.*ECONNREFUSED/);
    expect(worker.output()).not.toContain('zqxj');
    await worker.kill('SIGTERM');
    await database.drop();
  });

  it('admin: names the variable of the owner, and nothing else', async () => {
    const database = await createTestDatabase();
    const owner = 'postgres://owner:zqxj@127.0.0.1:2/orders';
    const env = { ...ENV, DATABASE_URL: database.serviceUrl, MIGRATION_DATABASE_URL: owner };
    const { code, stderr } = await runProcess(['admin', 'tenants', 'list'], env);
    expect(stderr).toMatch(/^MIGRATION_DATABASE_URL: cannot connect to 127\.0\.0\.1:2 \(.*ECONNREFUSED.*\)\n$/);
    expect(code).toBe(1);
    await database.drop();
  });

  it('npm start: a file, or a folder that takes no files, as DATA_DIR', async () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    for (const [dataDir, reason] of [
      [file, 'ENOTDIR'],
      ['/proc/x', 'ENOENT'],
    ] as const) {
      const env = { PATH: process.env.PATH, ...ENV, DATA_DIR: dataDir };
      const started = promisify(execFile)(process.execPath, [join('scripts', 'start.mjs')], {
        cwd: ROOT,
        env,
        timeout: 20_000,
        killSignal: 'SIGKILL',
      });
      await expect(started).rejects.toMatchObject({
        code: 1,
        stderr: `DATA_DIR: ${dataDir} cannot be used as a folder (${reason}); name another one\n`,
      });
    }
  });
});
