import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startService, type TestService } from '../harness/service';
import { startWorker, type TestWorker } from '../harness/worker';

const ROOT = join(__dirname, '..', '..');
const README = join(ROOT, 'README.md');
const ADDRESS = 'http://127.0.0.1:3000';
const RECEIVER_PORT = '8099';

const SECTION = /^## A tour of five minutes$[^]*?^(?=## )/m;
const BLOCK = /^```(\w+)\n([^]*?)^```$/gm;

/** A block of commands, and the block of their output where one follows. */
interface Step {
  commands: string;
  shown?: string;
}

function tourOf(readme: string): Step[] {
  const steps: Step[] = [];
  for (const [, language, text = ''] of (SECTION.exec(readme)?.[0] ?? '').matchAll(BLOCK)) {
    if (language === 'sh') steps.push({ commands: text });
    else (steps[steps.length - 1] as Step).shown = text;
  }
  return steps;
}

/** The README with the new outputs in place of its own. */
function renewed(readme: string, printed: readonly string[]): string {
  let step = -1;
  return readme.replace(SECTION, (section) =>
    section.replace(BLOCK, (block: string, language: string) =>
      language === 'sh' ? (step++, block) : `\`\`\`${language}\n${printed[step] ?? ''}\`\`\``,
    ),
  );
}

/** Replaces the values that differ from one run to the next. */
function normalized(text: string): string {
  return text
    .replace(/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, '<id>')
    .replace(/\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z/g, '<time>');
}

/** Runs all steps in one shell, as in one terminal. @returns the output of each step */
function inOneShell(steps: Step[], cwd: string, env: NodeJS.ProcessEnv): Promise<string[]> {
  const mark = '<<<end of a step>>>';
  const script = steps.map((step) => `${step.commands}\necho '${mark}'\n`).join('');
  return new Promise((resolve, reject) => {
    const shell = execFile('bash', [], { cwd, env, timeout: 90_000 }, (error, stdout, stderr) => {
      const printed = stdout.split(`${mark}\n`);
      if (printed.pop() === '' && printed.length === steps.length) resolve(printed);
      else reject(new Error(`the shell stopped before the end: ${error?.message ?? ''}\n${stdout}\n${stderr}`));
    });
    shell.stdin?.end(`exec 2>&1\n${script}`);
  });
}

/** A TCP port that is free now. */
function freePort(): Promise<string> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(String(port)));
    });
  });
}

/**
 * Runs the tour of the README against a real service and worker, so that it cannot become wrong: the commands as they
 * are, and their output compared with the output in the README. `RENEW_README=1 npx jest test/docs/readme-tour` writes
 * the output into the README.
 */
describe('the tour of the README', () => {
  let service: TestService;
  let worker: TestWorker;
  let home: string;

  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'readme-tour-'));
    symlinkSync(join(ROOT, 'docs'), join(home, 'docs'));
    const env = { MAIL_DIRECTORY: join(home, '.data', 'mail'), WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' };
    service = await startService({ env });
    worker = await startWorker(service.database, env);
  });
  afterAll(async () => {
    await worker.stop();
    await service.stop();
    rmSync(home, { recursive: true, force: true });
  });

  it('prints the output that the README shows (RENEW_README=1 renews it)', async () => {
    const readme = readFileSync(README, 'utf8');
    const steps = tourOf(readme);
    expect(steps.length).toBeGreaterThanOrEqual(9);
    const port = await freePort();
    const printed = await inOneShell(
      steps.map(({ commands }) => ({
        commands: commands
          .replaceAll(ADDRESS, service.url)
          .replaceAll(RECEIVER_PORT, port)
          .replaceAll('npm run', `npm --prefix '${ROOT}' run`),
      })),
      home,
      { ...process.env, DATABASE_URL: service.database.serviceUrl },
    );
    if (process.env.RENEW_README) {
      writeFileSync(README, renewed(readme, printed));
      return;
    }
    for (const [index, step] of steps.entries()) {
      const output = printed[index] as string;
      if (step.shown !== undefined) expect(normalized(output)).toBe(normalized(step.shown));
      else expect(output).toBe('');
    }
  });
});
