import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const ROOT = join(__dirname, '..', '..');
const ROLES = join('src', 'platform', 'database', 'roles');

interface Violation {
  from: string;
  to: string;
  rule: { name: string };
}

/** The broken rules of a copy of the tree with these files next to the databases of the roles. */
function brokenRules(files: Readonly<Record<string, string>>): { from: string; rule: string }[] {
  const folder = mkdtempSync(join(tmpdir(), 'orders-test-structure-'));
  try {
    for (const name of ['.dependency-cruiser.cjs', 'tsconfig.json', 'package.json'])
      cpSync(join(ROOT, name), join(folder, name));
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
    cpSync(join(ROOT, 'src', 'platform'), join(folder, 'src', 'platform'), { recursive: true });
    for (const [file, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      writeFileSync(join(folder, file), text);
    }
    const { stdout, stderr } = spawnSync(
      process.execPath,
      [
        join(ROOT, 'node_modules', 'dependency-cruiser', 'bin', 'dependency-cruise.mjs'),
        'src',
        '--config',
        '.dependency-cruiser.cjs',
        '--output-type',
        'json',
      ],
      { cwd: folder, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 },
    );
    if (!stdout.startsWith('{')) throw new Error(stderr);
    const { summary } = JSON.parse(stdout) as { summary: { violations: Violation[] } };
    return summary.violations.map(({ from, rule }) => ({ from, rule: rule.name }));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe('the database of a narrow role', () => {
  const roles = readdirSync(join(ROOT, ROLES)).map((file) => file.replace(/\.ts$/, ''));
  const importing = (role: string, up: string): string => `import '${up}platform/database/roles/${role}';\n`;

  it('cannot be imported by a folder that the rule does not name', () => {
    const files = Object.fromEntries(roles.map((role) => [`src/orders/${role}-fixture.ts`, importing(role, '../')]));
    const broken = brokenRules({
      ...files,
      'src/platform/http/fixture.ts': importing('sign-in-database', '../../'),
      'src/auth/fixture.ts': importing('sign-in-database', '../'),
      'src/platform/database/roles/new-database.ts': 'export const NEW = 1;\n',
      'src/auth/new-fixture.ts': importing('new-database', '../'),
    });
    for (const role of roles) {
      expect(broken).toContainEqual({ from: `src/orders/${role}-fixture.ts`, rule: `${role}-has-its-folders` });
    }
    expect(broken).toContainEqual({ from: 'src/platform/http/fixture.ts', rule: 'sign-in-database-has-its-folders' });
    expect(broken).toContainEqual({ from: 'src/auth/new-fixture.ts', rule: 'role-databases-are-named' });
    expect(broken.filter(({ from }) => from === 'src/auth/fixture.ts')).toEqual([]);
  });
});
