import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

const read = (file: string): string => readFileSync(join(__dirname, '..', '..', file), 'utf8');

interface Step {
  uses?: string;
  run?: string;
  with?: Record<string, unknown>;
}
interface Workflow {
  permissions: Record<string, string>;
  jobs: Record<string, { steps: Step[]; permissions?: Record<string, string>; 'timeout-minutes': number }>;
}
const workflow = (name: string): Workflow => parse(read(`.github/workflows/${name}.yml`)) as Workflow;

describe('the release workflow', () => {
  const { jobs, permissions } = workflow('release');
  const steps = jobs.image?.steps ?? [];
  const step = (uses: string): Step | undefined => steps.find((one) => one.uses?.startsWith(uses));

  it('builds for two architectures, with a list of contents and provenance', () => {
    expect(step('docker/build-push-action')?.with).toMatchObject({
      platforms: 'linux/amd64,linux/arm64',
      sbom: true,
      provenance: 'mode=max',
      push: true,
    });
    expect(step('actions/attest-build-provenance')?.with).toMatchObject({ 'push-to-registry': true });
  });

  it('fills the labels of the Dockerfile', () => {
    const given = String(step('docker/build-push-action')?.with?.['build-args']);
    const [, wanted = ''] = /^ARG (.+)$/m.exec(read('Dockerfile')) ?? [];
    const names = wanted.split(' ').map((text) => text.split('=')[0]);
    expect(names).toEqual(['VERSION', 'REVISION', 'CREATED']);
    for (const name of names) expect(given).toContain(`${name}=`);
  });

  it('may write packages in its one job, and nothing else anywhere', () => {
    expect(permissions).toEqual({ contents: 'read' });
    expect(jobs.image?.permissions).toEqual({
      contents: 'read',
      packages: 'write',
      'id-token': 'write',
      attestations: 'write',
    });
  });

  it('releases the version of package.json and the chart', () => {
    const { version } = JSON.parse(read('package.json')) as { version: string };
    expect(parse(read('deploy/helm/Chart.yaml'))).toMatchObject({ version, appVersion: version });
  });
});

describe('the deploy workflow', () => {
  it('runs all drills, and fails on a skip', () => {
    const drills = workflow('deploy').jobs.drills?.steps.find(({ run }) => run?.includes('check:deploy')) as Step & {
      env: Record<string, string>;
    };
    expect(drills.env).toEqual({ PULL_IMAGES: '1', SKIPS: 'refused' });
    expect(JSON.parse(read('package.json'))).toMatchObject({
      scripts: { 'check:deploy': expect.stringContaining('DRILLS=all') },
    });
  });
});

describe('renovate.json', () => {
  it('moves images with their digests, and never PostgreSQL or Redis to another major version by itself', () => {
    const config = JSON.parse(read('renovate.json')) as { extends: string[]; packageRules: Record<string, unknown>[] };
    expect(config.extends).toContain('docker:pinDigests');
    const rule = config.packageRules.find(({ matchUpdateTypes }) => JSON.stringify(matchUpdateTypes) === '["major"]');
    expect(rule).toMatchObject({ matchPackageNames: ['postgres', 'redis'], enabled: false });
  });
});
