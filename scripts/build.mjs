// Compiles src and migrations with SWC into dist. `node scripts/build.mjs` builds always; `buildIfStale` only when a
// source, or the compiler's settings, changed since the last build.
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
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

export async function buildIfStale(say = () => undefined) {
  const built = await builtStamp();
  if (built !== '' && built === (await fingerprint(await sources()).catch(() => ''))) return;
  say('Compiling');
  await build();
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await build();
