import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(__dirname, '..', '..');

/**
 * Stand-ins for what the script runs, which fail or hang as `FAULT` says. `timeout` runs its command at once: one that
 * hangs ends as `timeout` would end it.
 */
const PROGRAMS: Record<string, string> = {
  'dpkg-query': 'echo install ok installed',
  timeout: 'shift 2; exec "$@"',
  python3: 'mkdir -p "$3/bin"; printf "#!/bin/sh\\n" > "$3/bin/pip"; chmod +x "$3/bin/pip"',
  bash: 'case "$*" in *smoke.sh) fault smoke; echo "*** SKIPPED: Compose ***"; seq 99;; *tools.sh*) fault tools;; esac',
  npm: 'case "$*" in test*) fault tests; echo "{\\"numPassedTests\\": 7}" > "${4#--outputFile=}";; esac',
  npx: 'case "$*" in *--version) fault download;; *jest*) fault node24; echo the core ran;; esac',
};

describe('.ci/run', () => {
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'orders-ci-'));
    mkdirSync(join(folder, '.ci'));
    mkdirSync(join(folder, 'bin'));
    cpSync(join(ROOT, '.ci', 'run'), join(folder, '.ci', 'run'));
    const fault = 'fault() { [ "$FAULT" != "$1" ] || { echo "$1 is at fault"; exit "$FAULT_CODE"; }; }';
    for (const [name, body] of Object.entries(PROGRAMS)) {
      writeFileSync(join(folder, 'bin', name), `#!/bin/sh\n${fault}\n${body}\n`);
      chmodSync(join(folder, 'bin', name), 0o755);
    }
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  function ci(fault: string, code: number): { status: number | null; output: string; last: string | undefined } {
    const { status, stdout, stderr } = spawnSync('/bin/bash', [join(folder, '.ci', 'run')], {
      encoding: 'utf8',
      timeout: 60_000,
      env: { PATH: `${join(folder, 'bin')}:${process.env.PATH}`, FAULT: fault, FAULT_CODE: String(code) },
    });
    return { status, output: stdout + stderr, last: stdout.trim().split('\n').pop() };
  }

  it('passes, and shows a skip of the smoke test before the end of a long output', () => {
    const { status, output, last } = ci('', 0);
    expect([status, last]).toEqual([0, '7 passed, 0 failed']);
    expect(output).toContain('*** SKIPPED: Compose ***');
    expect(output).toContain('the core ran');
  });

  it.each([
    ['smoke', 1, '7 passed, 1 failed'],
    ['tests', 1, '0 passed, 1 failed'],
    ['node24', 1, '7 passed, 1 failed'],
    ['node24', 124, '7 passed, 1 failed'],
  ])('fails with %s (%i), and runs the rest', (fault, code, says) => {
    const { status, output, last } = ci(fault, code);
    expect([status, last]).toEqual([1, says]);
    expect(output).toContain(`${fault} is at fault`);
    expect(output).toContain('!!! FAILED: ');
    if (fault !== 'node24') expect(output).toContain('the core ran');
  });

  it.each([
    ['tools', 1, '*** SKIPPED: helm: cannot be had here ***'],
    ['download', 124, '*** SKIPPED: Node 24: cannot be had here ***'],
  ])('reports each skip of a missing tool: %s (%i)', (fault, code, says) => {
    const { status, output, last } = ci(fault, code);
    expect([status, last]).toEqual([0, '7 passed, 0 failed']);
    expect(output).toContain(says);
  });
});
