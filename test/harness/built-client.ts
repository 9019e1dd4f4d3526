import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const ROOT = join(__dirname, '..', '..');
const run = promisify(execFile);

/** The TypeScript client as after an installation: packed, and in the node_modules of another project. */
export interface BuiltClient {
  /** The project that installs the client. */
  folder: string;
  client: typeof import('../../clients/typescript/src/client');
  webhooks: typeof import('../../clients/typescript/src/webhooks');
  /** Runs a program of this repository's node_modules, or a file of the project, with Node. @throws its output */
  node(...args: string[]): Promise<string>;
  /** The path of a program in this repository's node_modules. */
  tool(path: string): string;
  remove(): void;
}

/** Compiles a copy of `clients/typescript`, packs it with npm, and unpacks it into a project of its own. */
export async function buildClient(): Promise<BuiltClient> {
  const temporary = mkdtempSync(join(tmpdir(), 'orders-client-'));
  const [source, folder] = [join(temporary, 'source'), join(temporary, 'project')];
  const tool = (path: string) => join(ROOT, 'node_modules', path);
  const command = (program: string, args: string[], cwd: string) =>
    run(program, args, { cwd }).then(
      ({ stdout }) => stdout,
      (error: Error & { stdout: string; stderr: string }) => {
        throw new Error(`${args.join(' ')}\n${error.stdout}\n${error.stderr}`);
      },
    );
  for (const part of ['package.json', 'tsconfig.json', 'README.md', 'src']) {
    cpSync(join(ROOT, 'clients', 'typescript', part), join(source, part), { recursive: true });
  }
  symlinkSync(join(ROOT, 'node_modules'), join(source, 'node_modules'));
  await command(process.execPath, [tool('typescript/bin/tsc'), '-p', source], source);
  await command('npm', ['pack', '--silent', '--pack-destination', temporary], source);
  const archive = readdirSync(temporary).find((name) => name.endsWith('.tgz')) as string;
  const installed = join(folder, 'node_modules', 'orders-saas-client');
  mkdirSync(installed, { recursive: true });
  await command('tar', ['-xzf', join(temporary, archive), '--strip-components=1', '-C', installed], temporary);
  symlinkSync(join(ROOT, 'node_modules', 'openapi-fetch'), join(folder, 'node_modules', 'openapi-fetch'));
  writeFileSync(join(folder, 'package.json'), '{ "name": "project", "private": true, "type": "module" }\n');
  const load = createRequire(join(folder, 'package.json'));
  return {
    folder,
    client: load('orders-saas-client') as BuiltClient['client'],
    webhooks: load('orders-saas-client/webhooks') as BuiltClient['webhooks'],
    node: (...args) => command(process.execPath, args, folder),
    tool,
    remove: () => rmSync(temporary, { recursive: true, force: true }),
  };
}
