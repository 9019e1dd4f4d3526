// Writes the PrometheusRules of deploy/kubernetes and deploy/helm from deploy/prometheus/alerts.yml, which promtool
// tests.
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const at = (path) => fileURLToPath(new URL(`../deploy/${path}`, import.meta.url));
const target = at('kubernetes/components/prometheus-operator/prometheus-rule.yaml');
const rules = await readFile(at('prometheus/alerts.yml'), 'utf8');
const groups = rules.slice(rules.indexOf('groups:\n')).trimEnd();
const head = (await readFile(target, 'utf8')).split(/^spec:\n/m)[0];
await writeFile(target, `${head}spec:\n${groups.replace(/^(?=.)/gm, '  ')}\n`);
await writeFile(at('helm/files/alerts.yml'), `${groups}\n`);
