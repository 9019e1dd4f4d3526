// Compiles src and migrations with SWC into dist. `node scripts/build.mjs` builds always; `buildIfStale` only when a
// source, or the compiler's settings, changed since the last build.
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
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
      await writeFile(target, `${code}\n//# sourceMappingURL=${target.split('/').pop()}.map\n`);
      await writeFile(`${target}.map`, map ?? '{}');
    }),
  );
  await writeFile(join(fresh, '.stamp'), stamp);
  await rm(out, { recursive: true, force: true });
  await rename(fresh, out);
}

export async function buildIfStale() {
  const current = await readFile(stampFile, 'utf8').catch(() => '');
  if (current === '' || current !== (await fingerprint(await sources()).catch(() => ''))) await build();
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await build();
