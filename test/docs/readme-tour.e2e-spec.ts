import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seedDemo } from '../../src/dev/demo';
import { startService, type TestService } from '../harness/service';

const README = join(__dirname, '..', '..', 'README.md');
const ADDRESS = 'http://127.0.0.1:3000';

const SECTION = /^## A tour of five minutes$[^]*?^(?=## )/m;
const BLOCK = /^```(\w+)\n([^]*?)^```$/gm;

/** A block of commands and, where one follows before the next commands, the block of what they print. */
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

/** The README with what was printed in place of what it shows. */
function renewed(readme: string, printed: readonly string[]): string {
  let step = -1;
  return readme.replace(SECTION, (section) =>
    section.replace(BLOCK, (block: string, language: string) =>
      language === 'sh' ? (step++, block) : `\`\`\`${language}\n${printed[step] ?? ''}\`\`\``,
    ),
  );
}

/** What differs from one run to the next. */
function normalized(text: string): string {
  return text
    .replace(/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, '<id>')
    .replace(/\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z/g, '<time>');
}

/** Runs all steps in one shell, as a person would in one terminal; gives what each has printed. */
function inOneShell(steps: Step[], cwd: string, env: NodeJS.ProcessEnv): Promise<string[]> {
  const mark = '<<<the end of a step>>>';
  const script = steps.map((step) => `${step.commands}\necho '${mark}'\n`).join('');
  return new Promise((resolve, reject) => {
    const shell = execFile('bash', [], { cwd, env, timeout: 60_000 }, (error, stdout, stderr) => {
      const printed = stdout.split(`${mark}\n`);
      if (printed.pop() === '' && printed.length === steps.length) resolve(printed);
      else reject(new Error(`the shell stopped before the end: ${error?.message ?? ''}\n${stdout}\n${stderr}`));
    });
    shell.stdin?.end(`exec 2>&1\n${script}`);
  });
}

/**
 * The README's tour against a real service, so that it cannot rot: the commands as they stand there, and what they print
 * compared with what it shows. `RENEW_README=1 npx jest test/docs/readme-tour` writes what they print into it.
 */
describe('the tour of the README', () => {
  let service: TestService;
  let home: string;

  beforeAll(async () => {
    service = await startService();
    home = mkdtempSync(join(tmpdir(), 'readme-tour-'));
    await seedDemo(service.app, join(home, '.data'), () => undefined);
  });
  afterAll(async () => {
    await service.stop();
    rmSync(home, { recursive: true, force: true });
  });

  it('prints what it shows (RENEW_README=1 writes it anew)', async () => {
    const readme = readFileSync(README, 'utf8');
    const steps = tourOf(readme);
    expect(steps.length).toBeGreaterThanOrEqual(10);
    const printed = await inOneShell(
      steps.map(({ commands }) => ({
        commands: commands
          .replaceAll(ADDRESS, service.url)
          .replaceAll('npm run', `npm --prefix '${join(__dirname, '..', '..')}' run`),
      })),
      home,
      { ...process.env, DATABASE_URL: service.database.serviceUrl },
    );
    if (process.env.RENEW_README) {
      writeFileSync(README, renewed(readme, printed));
      return;
    }
    for (const [index, step] of steps.entries()) {
      const answer = printed[index] as string;
      if (step.shown !== undefined) expect(normalized(answer)).toBe(normalized(step.shown));
      else expect(answer).toBe('');
    }
  });
});
