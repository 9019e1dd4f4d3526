import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { buildOnce } from '../harness/service-process';

const DIST = join(__dirname, '..', '..', 'dist', 'src', 'processes');

/** The packages that the root module of a process loads. */
function loadedBy(module: string): Set<string> {
  const script = `
    require(${JSON.stringify(join(DIST, module))});
    const packages = Object.keys(require.cache).map((file) => /.*node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(file)?.[1]);
    console.log(JSON.stringify(packages.filter(Boolean)));`;
  return new Set(JSON.parse(execFileSync(process.execPath, ['-e', script], { encoding: 'utf8' })) as string[]);
}

describe('the code that a process loads', () => {
  beforeAll(() => buildOnce());

  it('of the API: neither the queue nor the clients of the worker, nor tracing that is off', () => {
    const packages = loadedBy('api/api.module.js');
    expect(packages).toContain('pg');
    const unneeded = ['bullmq', 'ioredis', 'undici', 'nodemailer', '@opentelemetry/sdk-trace-base'];
    expect(unneeded.filter((name) => packages.has(name))).toEqual([]);
  });

  it('of the worker: its queue and its client', () => {
    const packages = [...loadedBy('worker/worker.module.js')];
    expect(packages).toEqual(expect.arrayContaining(['bullmq', 'undici', 'nodemailer']));
  });
});
