import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(__dirname, '..', '..');
/** Not copied: generated files, and packages, which the copy shares. */
const LEFT_OUT = /^(node_modules|\.git|\.data|coverage|dist.*)$/;

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'orders-test-feature-'));
  for (const name of readdirSync(ROOT)) {
    if (!LEFT_OUT.test(name)) cpSync(join(ROOT, name), join(folder, name), { recursive: true });
  }
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a command in the copy; nothing of this run's environment reaches the jest in it. */
function run(command: string, ...args: string[]) {
  const { PATH, HOME } = process.env;
  return spawnSync(command, args, { cwd: folder, encoding: 'utf8', env: { PATH, HOME }, timeout: 400_000 });
}

/** @throws with the end of its output if the command fails */
function pass(command: string, ...args: string[]): string {
  const { status, stdout, stderr } = run(command, ...args);
  const output = `${stdout}\n${stderr}`;
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}:\n${output.slice(-5_000)}`);
  return output;
}

const newFeature = (...args: string[]) => run('npm', 'run', '-s', 'new:feature', '--', ...args);

describe('npm run new:feature', () => {
  it.each([
    [['orders', 'order'], "there is a folder 'orders' already"],
    [['order-items', 'order-item'], 'the API has a schema OrderItem already'],
    [['groups', 'group'], "'group' is a word of TypeScript or SQL"],
    [['outcomes', 'outcome'], "'outcome' is a name of the generated code: choose a longer one"],
    [['invoice', 'invoices'], 'the plural comes first: invoices invoice?'],
    [['sheep', 'sheep'], 'the plural and the singular must differ'],
    [['Invoices', 'invoice'], "'Invoices' must be lower case, words joined by -, at most 30 characters"],
    [['invoices'], "'' must be lower case, words joined by -, at most 30 characters"],
    [['invoices', 'invoice', '--force'], 'there is no option --force'],
  ])('refuses %j and changes nothing', (args, fault) => {
    const { status, stderr } = newFeature(...args);
    expect([status, stderr]).toEqual([2, expect.stringContaining(fault)]);
    expect(existsSync(join(folder, 'src', 'invoices'))).toBe(false);
  });

  it('makes a feature that passes every check and its own tests at once', () => {
    const files = pass('npm', 'run', '-s', 'new:feature', '--', 'credit-notes', 'credit-note')
      .split('\n')
      .filter((line) => /^(src|test|migrations)\/\S+\.ts$/.test(line));
    expect(files).toHaveLength(15);
    // Types of src and the new files: other tests have not changed.
    const project = { extends: './tsconfig.json', compilerOptions: { incremental: false }, files, include: ['src'] };
    writeFileSync(join(folder, 'tsconfig.feature.json'), JSON.stringify(project));
    pass('npx', 'tsc', '-p', 'tsconfig.feature.json', '--noEmit');
    pass('npx', 'eslint', '--max-warnings', '0', ...files);
    pass('npx', 'prettier', '--check', ...files, 'test/golden', 'clients/typescript/src');
    for (const check of ['structure', 'unused', 'docs', 'openapi', 'client', 'migrations']) {
      pass('npm', 'run', '-s', `check:${check}`);
    }
    expect(pass('npx', 'jest', '-i', 'test/credit-notes')).toMatch(/Tests: +8 passed, 8 total/);
  }, 900_000);
});
