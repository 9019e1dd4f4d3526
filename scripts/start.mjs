// `npm start`: builds changed sources, reads `.env` (existing variables have precedence), then runs the whole service
// in this process (see src/dev/start.ts).
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import Module, { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { Script } from 'node:vm';
import { BUNDLE, buildIfStale } from './build.mjs';

/** The delay before V8's compiled code is saved, milliseconds: by then all code of a start has run. */
const KEEP_COMPILED_AFTER_MS = 3_000;

/** The lines of `engines` in package.json: the oldest minor version of each line, and of all later ones. */
const OLDEST = { 20: 19, 22: 13, 24: 11 };

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 25 && !(minor >= OLDEST[major])) {
  fail(`Node.js 20.19, 22.13, 24.11 or newer is needed; this is ${process.version}.`);
}

if (existsSync('.env')) process.loadEnvFile('.env');

try {
  await buildIfStale(console.log);
} catch (error) {
  if (error.code === 'ERR_MODULE_NOT_FOUND') fail('Run npm ci first (with NODE_ENV=production: npm ci --include=dev).');
  throw error;
}
load(BUNDLE);

/** Runs a CommonJS file with V8's code cache, which avoids most of a start's compiling. */
function load(file) {
  const source = readFileSync(file);
  // V8 identifies a source by its length alone.
  const cacheFile = `${file}.${createHash('sha256').update(source).digest('hex').slice(0, 32)}.cache`;
  const script = new Script(Module.wrap(source.toString()), {
    filename: file,
    cachedData: readIfThere(cacheFile),
    importModuleDynamically: (name) => import(name),
  });
  const module = { exports: {} };
  script.runInThisContext()(module.exports, createRequire(file), module, file, dirname(file));
  // V8 refuses the cache of another version.
  if (script.cachedDataRejected === false) return;
  setTimeout(() => keep(cacheFile, script.createCachedData()), KEEP_COMPILED_AFTER_MS).unref();
}

function readIfThere(file) {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}

function keep(file, data) {
  try {
    writeFileSync(`${file}.new-${process.pid}`, data);
    renameSync(`${file}.new-${process.pid}`, file);
  } catch {
    // Without it the next start is half a second slower.
  }
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
