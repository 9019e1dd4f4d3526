import { isUtf8 } from 'node:buffer';
import { readFileSync, statSync } from 'node:fs';

const MAX_BYTES = 64 * 1024;

/** The variable that names a secret's file, as container platforms mount secrets. */
export function fileVariable(name: string): string {
  return `${name}_FILE`;
}

/**
 * The secret in a file, without its last newline, which editors and `echo` add.
 * @throws Error whose message completes "NAME …" and never repeats the content of the file
 */
export function readSecretFile(name: string, file: string): string {
  const content = read(file);
  const text = typeof content === 'string' ? '' : content.toString('utf8').replace(/\r?\n$/, '');
  const fault = typeof content === 'string' ? content : text === '' ? 'it is empty' : undefined;
  if (fault) throw new Error(`cannot be read from ${file} (${fileVariable(name)}): ${fault}`);
  return text;
}

/** The bytes of a file, or the reason why they cannot be read. */
function read(file: string): Buffer | string {
  try {
    if (statSync(file).size > MAX_BYTES) return `it has more than ${MAX_BYTES} bytes`;
    const content = readFileSync(file);
    return isUtf8(content) ? content : 'it is not UTF-8';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}
