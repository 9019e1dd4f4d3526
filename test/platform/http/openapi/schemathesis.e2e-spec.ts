import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { startService } from '../../../harness/service';

/** The installation of `.ci/run`, or the program in the path. */
const SCHEMATHESIS = find();
const LONGEST_MS = 400_000;
if (!SCHEMATHESIS) {
  process.stderr.write('\n  SKIPPED: schemathesis is not here (pip install schemathesis, or SCHEMATHESIS_PATH).\n\n');
}
const withSchemathesis = SCHEMATHESIS ? it : it.skip;

withSchemathesis(
  'holds against its own document, by every check of schemathesis',
  async () => {
    const service = await startService();
    const folder = mkdtempSync(join(tmpdir(), 'schemathesis-'));
    try {
      const tenant = await service.tenant();
      const child = spawn(
        SCHEMATHESIS as string,
        [
          'run',
          `${service.url}/openapi.json`,
          ...['-H', `Authorization: Bearer ${tenant.session?.access_token}`],
          // Our hooks.py replaces its own check of accepted data, since it has the rules that no schema can express.
          ...['--checks', 'all', '--exclude-checks', 'positive_data_acceptance'],
          ...[
            '--phases',
            'examples,coverage,fuzzing',
            '--max-examples',
            '2',
            '--generation-deterministic',
            '--no-color',
          ],
          // A tenant that is closed answers the others with 403.
          ...['--exclude-operation-id', 'closeTenant'],
        ],
        { cwd: folder, env: { ...process.env, SCHEMATHESIS_HOOKS: join(__dirname, 'schemathesis', 'hooks.py') } },
      );
      let output = '';
      child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
      child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
      const timer = setTimeout(() => child.kill(), LONGEST_MS);
      const [code] = (await once(child, 'close')) as [number | null];
      clearTimeout(timer);
      expect(code === 0 ? '' : output.slice(-20_000)).toBe('');
      expect(output).toMatch(/\d+ generated/);
    } finally {
      rmSync(folder, { recursive: true, force: true });
      await service.stop();
    }
  },
  LONGEST_MS + 30_000,
);

function find(): string | undefined {
  const { SCHEMATHESIS_PATH, PATH = '' } = process.env;
  const places = PATH.split(delimiter).map((folder) => join(folder, 'schemathesis'));
  return [...(SCHEMATHESIS_PATH ? [SCHEMATHESIS_PATH] : []), ...places].find((place) => {
    try {
      accessSync(place);
      return true;
    } catch {
      return false;
    }
  });
}
