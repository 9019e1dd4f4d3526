/** The Helm chart for tests: rendered as objects, if helm is available. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type Manifest, parseManifests } from './manifests';

/** The folder of the chart. */
export const CHART = join(__dirname, '..', '..', 'deploy', 'helm');
/** As test/drills/tools.sh builds it, if it is not on the path. */
const BUILT = join(process.env.GO_TOOLS_DIR ?? join(homedir(), '.cache', 'go-tools'), 'helm');
const helm = existsSync(BUILT) ? BUILT : 'helm';

/** Whether there is a helm to render with. */
export function hasHelm(): boolean {
  const found = spawnSync(helm, ['version']).status === 0;
  if (!found)
    process.stderr.write('\n*** helm is not installed (test/drills/tools.sh helm): the chart is NOT RENDERED ***\n\n');
  return found;
}

/** Runs helm; returns its exit code and output. */
export function runHelm(...args: string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(helm, args, { encoding: 'utf8' });
  return { status, output: stdout + stderr };
}

/** The objects of the chart with a file of values. @throws Error with helm's output */
export function renderChart(values: string, ...more: string[]): Manifest[] {
  const args = ['template', 'orders', CHART, '--namespace', 'orders-saas-api', '--kube-version', '1.34.0'];
  const text = execFileSync(helm, [...args, '--values', join(CHART, 'values', `${values}.yaml`), ...more], {
    encoding: 'utf8',
    maxBuffer: 16 * 1024 * 1024,
  });
  return parseManifests(text).filter((manifest) => manifest !== null);
}
