import { readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';

const FOLDER = join(__dirname, '..', 'golden');

/** Whether golden files are written instead of compared. */
export const renewing = process.env.UPDATE_GOLDEN === '1';

/** The command that renews the golden files of the test that is running. */
export function renewCommand(): string {
  return `UPDATE_GOLDEN=1 npx jest ${relative(process.cwd(), expect.getState().testPath ?? '')}`;
}

/** A golden file's text; empty for a missing file. */
export function readGolden(name: string): string {
  try {
    return readFileSync(join(FOLDER, name), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

export function writeGolden(name: string, text: string): void {
  writeFileSync(join(FOLDER, name), text);
}

/** Compares a text with its golden file, line by line; a difference names the command that renews the file. */
export function expectGolden(name: string, text: string): void {
  if (renewing) writeGolden(name, text);
  const golden = readGolden(name);
  if (golden === text) return;
  const expected = new Set(golden.split('\n'));
  const found = new Set(text.split('\n'));
  const missing = [...expected].filter((line) => !found.has(line)).map((line) => `- ${line}`);
  const added = [...found].filter((line) => !expected.has(line)).map((line) => `+ ${line}`);
  throw new Error(
    `This is not what test/golden/${name} says:\n${[...missing, ...added].join('\n') || '(other order of lines)'}\n` +
      `Where it is meant, renew the file and read its difference:\n  ${renewCommand()}`,
  );
}
