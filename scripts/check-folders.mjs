// `npm run check:structure`, second half: no folder of src imports a folder that imports it, and test/ mirrors src/. A
// module file (`*.module.ts`) and the root file of a process wire folders together, so they do not count as a part of
// their folder.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const WIRING = /\.module\.ts$/;
/** Folders of test/ about things outside src/, and the tests' own tools. */
const OUTSIDE_SRC = ['citus', 'clients', 'deploy', 'docs', 'drills', 'golden', 'harness', 'structure'];
const TESTS = /\.(spec|e2e-spec)\.ts$/;

const { stdout, stderr, status } = spawnSync(
  process.execPath,
  [
    join(root, 'node_modules', 'dependency-cruiser', 'bin', 'dependency-cruise.mjs'),
    'src',
    '--config',
    '.dependency-cruiser.cjs',
    '--output-type',
    'json',
  ],
  { cwd: root, encoding: 'utf8', maxBuffer: 256 * 1024 * 1024 },
);
if (!stdout) {
  console.error(stderr || `dependency-cruiser ended with ${status}`);
  process.exit(1);
}

/** Each import between two folders, by `from → to`, with the first file that has it. */
const imports = new Map();
for (const { source, dependencies } of JSON.parse(stdout).modules) {
  if (!source.startsWith('src/') || WIRING.test(source) || TESTS.test(source)) continue;
  for (const { resolved } of dependencies) {
    if (!resolved.startsWith('src/') || WIRING.test(resolved)) continue;
    const [from, to] = [dirname(source), dirname(resolved)];
    const key = `${from} → ${to}`;
    if (from !== to && !imports.has(key)) imports.set(key, `${source} imports ${resolved}`);
  }
}

const faults = [];
for (const [key, example] of imports) {
  const [from, to] = key.split(' → ');
  const back = imports.get(`${to} → ${from}`);
  if (back && from < to) faults.push(`${from} and ${to} import each other:\n    ${example}\n    ${back}`);
}
for (const entry of readdirSync(join(root, 'test'), { recursive: true, withFileTypes: true })) {
  if (!TESTS.test(entry.name)) continue;
  const folder = relative(join(root, 'test'), entry.parentPath);
  const mirrored = existsSync(join(root, 'src', folder)) || OUTSIDE_SRC.includes(folder.split(sep)[0]);
  if (!mirrored) faults.push(`test/${folder}/${entry.name}: src/${folder} does not exist; test/ mirrors src/`);
}
for (const fault of faults) console.error(fault);
if (faults.length > 0) process.exit(1);
console.log(
  `No folder imports a folder that imports it (${imports.size} imports between folders), and test/ mirrors src/.`,
);
