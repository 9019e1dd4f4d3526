import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  chmodSync,
  mkdirSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';

const ROOT = join(__dirname, '..', '..');
const FOLDER = '.github/workflows';
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');
const { scripts, version, engines } = JSON.parse(read('package.json')) as {
  scripts: Record<string, string>;
  version: string;
  engines: { node: string };
};

interface Step {
  id?: string;
  name?: string;
  uses?: string;
  run?: string;
  env?: Record<string, string>;
  with?: Record<string, unknown>;
}
interface Job {
  steps: Step[];
  'timeout-minutes'?: number;
  strategy?: { matrix: Record<string, string[]> };
}
interface Workflow {
  on: Record<string, unknown>;
  jobs: Record<string, Job>;
}

const files = readdirSync(join(ROOT, FOLDER));
const workflows = files.map((file) => [file, parse(read(join(FOLDER, file))) as Workflow] as const);
const jobs = workflows.flatMap(([file, workflow]) =>
  Object.entries(workflow.jobs).map(([name, job]) => [`${file}: ${name}`, job] as const),
);
const steps = jobs.flatMap(([job, { steps: all }]) => all.map((step) => [job, step] as const));
const commands = steps.flatMap(([job, { run }]) => (run === undefined ? [] : [[job, run] as const]));
const packagesOf = (text: string): string[] => text.trim().split(/\s+/);

describe('the workflows', () => {
  it('are bounded in time, and run on what is pushed or on a timer', () => {
    expect(files.sort()).toEqual(['ci.yml', 'deploy.yml', 'release.yml']);
    for (const [name, job] of jobs) expect([name, job['timeout-minutes']]).toEqual([name, expect.any(Number)]);
    for (const [name, { on }] of workflows) {
      expect([name, Object.keys(on).every((event) => /^(push|pull_request|schedule)$/.test(event))]).toEqual([
        name,
        true,
      ]);
    }
  });

  it('name every action by its commit, with its version beside it', () => {
    const uses = files.flatMap((file) => read(join(FOLDER, file)).match(/uses: .*/g) ?? []);
    expect(uses.length).toBe(steps.filter(([, step]) => step.uses !== undefined).length);
    for (const one of uses) expect(one).toMatch(/^uses: [\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
    // One action has one commit everywhere.
    const commits = new Map<string, Set<string>>();
    for (const one of uses) {
      const [, action = '', commit = ''] = /^uses: (\S+)@(\S+)/.exec(one) ?? [];
      commits.set(action, (commits.get(action) ?? new Set()).add(commit));
    }
    for (const [action, known] of commits) expect([action, known.size]).toEqual([action, 1]);
  });

  it.each(commands)('%s runs a shell script whose programs, scripts and files exist: %s', (_, run) => {
    const { status, stderr } = spawnSync('bash', ['-n', '-c', run.replace(/\$\{\{.*?\}\}/g, 'VALUE')], {
      encoding: 'utf8',
    });
    expect([status, stderr]).toEqual([0, '']);
    for (const [, name = ''] of run.matchAll(/npm run (?:-s |--silent )?([\w:-]+)/g))
      expect(Object.keys(scripts)).toContain(name);
    for (const [, path = ''] of run.matchAll(/(?:^|[\s'"(])((?:\.\/)?(?:deploy|test|scripts|src|docs)\/[\w./-]+)/g)) {
      expect([path, existsSync(join(ROOT, path))]).toEqual([path, true]);
    }
    if (/\bnpm ci\b/.test(run)) expect(existsSync(join(ROOT, 'package-lock.json'))).toBe(true);
  });

  it('use values that the workflow has', () => {
    for (const [name, { steps: all, strategy }] of jobs) {
      const ids: string[] = [];
      for (const step of all) {
        for (const [, expression = ''] of JSON.stringify(step).matchAll(/\$\{\{ (.*?) \}\}/g)) {
          const [, kind = '', key = ''] = /(?:^|\()(steps|matrix|github|secrets)\.([\w-]+)/.exec(expression) ?? [];
          const known: Record<string, string[]> = {
            steps: ids,
            matrix: Object.keys(strategy?.matrix ?? {}),
            github: ['actor', 'repository', 'repository_owner', 'sha'],
            secrets: ['GITHUB_TOKEN'],
          };
          if (expression.startsWith('hashFiles(')) {
            const [, path = ''] = /'(.+)'/.exec(expression) ?? [];
            expect([path, existsSync(join(ROOT, path))]).toEqual([path, true]);
          } else {
            expect([name, expression, known[kind]]).toEqual([name, expression, expect.arrayContaining([key])]);
          }
        }
        if (step.id !== undefined) ids.push(step.id);
      }
    }
  });

  it('test on every release of Node.js that package.json names', () => {
    const wanted = [...engines.node.matchAll(/(\d+)\.\d+\.\d+/g)].map(([, major]) => major);
    const test = jobs.find(([name]) => name === 'ci.yml: test')?.[1];
    expect(test?.strategy?.matrix.node?.map((node) => node.split('.')[0])).toEqual(wanted);
  });

  it('install the programs that .ci/run installs, but for those of the runner and what it makes by itself', () => {
    const [, installed = ''] =
      /apt-get install --yes --no-install-recommends (?:\\\n)?([^\n]+)/.exec(
        commands.map(([, run]) => run).join('\n'),
      ) ?? [];
    const [, wanted = ''] = /^PACKAGES=\((.+)\)$/m.exec(read('.ci/run')) ?? [];
    // A runner of GitHub has Google Chrome and Python.
    const ofRunner = ['chromium', 'chromium-driver', 'python3-venv'];
    expect(packagesOf(installed).sort()).toEqual(
      packagesOf(wanted)
        .filter((name) => !ofRunner.includes(name))
        .sort(),
    );
  });
});

describe('the steps of the release workflow', () => {
  const step = (name: string): string => steps.find(([, one]) => one.name === name)?.[1].run as string;

  it.each([
    [`v${version}`, 0],
    ['v99.0.0', 1],
  ])('take the tag %s: exit code %i', (tag, code) => {
    const { status } = spawnSync(
      'bash',
      ['-e', '-c', step('The tag is the version of package.json and of the chart')],
      {
        cwd: ROOT,
        env: { PATH: process.env.PATH, GITHUB_REF_NAME: tag },
      },
    );
    expect(status).toBe(code);
  });

  it('package the chart and push what was packaged', () => {
    const folder = mkdtempSync(join(tmpdir(), 'orders-test-release-'));
    try {
      cpSync(join(ROOT, 'deploy', 'helm'), join(folder, 'deploy', 'helm'), { recursive: true });
      mkdirSync(join(folder, 'bin'));
      // As helm: a package has the version of its chart in its name.
      const helm = `#!/bin/sh
echo "$@" >> calls
if [ "$1" = package ]; then mkdir -p "$4" && touch "$4/$(sed -n 's/^name: //p' "$2/Chart.yaml")-$(sed -n 's/^version: //p' "$2/Chart.yaml").tgz"; fi
if [ "$1" = push ]; then test -e "$2"; fi
if [ "$1" = registry ]; then cat > password; fi
`;
      writeFileSync(join(folder, 'bin', 'helm'), helm);
      chmodSync(join(folder, 'bin', 'helm'), 0o755);
      const values: Record<string, string> = {
        'secrets.GITHUB_TOKEN': 'token-of-the-test',
        'github.actor': 'actor',
        'github.repository_owner': 'owner',
      };
      const script = step('The chart').replace(/\$\{\{ (.*?) \}\}/g, (_, name: string) => values[name] as string);
      const { status } = spawnSync('bash', ['-e', '-c', script], {
        cwd: folder,
        env: { PATH: `${join(folder, 'bin')}:${process.env.PATH}` },
      });
      expect(status).toBe(0);
      const calls = readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n');
      expect(calls.map((call) => call.split(' ')[0])).toEqual(['package', 'registry', 'push']);
      expect(calls[2]).toMatch(new RegExp(`^push chart/\\S+-${version}\\.tgz oci://ghcr\\.io/owner/charts$`));
      expect(calls.join('\n')).not.toContain('token-of-the-test');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
