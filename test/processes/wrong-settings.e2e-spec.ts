import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { runRole } from '../harness/role-process';
import { buildOnce } from '../harness/service-process';

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
    const { code, stderr } = await runRole([role], { ...ENV, DATABASE_URL: 'postgres://me:zqxj@127.0.0.1:1/orders' });
    expect(stderr.trim()).toMatch(/^DATABASE_URL: cannot reach 127\.0\.0\.1:1 \(.*ECONNREFUSED.*\)$/);
    expect(stderr).not.toContain('zqxj');
    expect(code).toBe(1);
  });

  it('api: a database that accepts connections and stays silent', async () => {
    const { code, stderr } = await runRole(['api'], {
      ...ENV,
      DATABASE_URL: `postgres://me@127.0.0.1:${silentPort}/orders`,
    });
    expect(stderr.trim()).toMatch(new RegExp(`^DATABASE_URL: cannot reach 127\\.0\\.0\\.1:${silentPort} \\(.+\\)$`));
    expect(code).toBe(1);
  });

  it('migrate: names the variable of the owner', async () => {
    const { stderr } = await runRole(['migrate'], {
      ...ENV,
      DATABASE_URL: 'postgres://me@127.0.0.1:1/orders',
      MIGRATION_DATABASE_URL: 'postgres://owner@127.0.0.1:2/orders',
    });
    expect(stderr).toMatch(/^MIGRATION_DATABASE_URL: cannot reach 127\.0\.0\.1:2 /);
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
