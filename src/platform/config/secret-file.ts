import { isUtf8 } from 'node:buffer';
import { readFileSync, statSync } from 'node:fs';

const MAX_BYTES = 64 * 1024;

/** The variable that names the file a secret is read from, as container platforms mount secrets. */
export function fileVariable(name: string): string {
  return `${name}_FILE`;
}

/**
 * The secret in a file, without its last newline, which editors and `echo` put there.
 * @throws Error whose message completes "NAME …" and never repeats what the file holds
 */
export function readSecretFile(name: string, file: string): string {
  const content = read(file);
  const text = typeof content === 'string' ? '' : content.toString('utf8').replace(/\r?\n$/, '');
  const fault = typeof content === 'string' ? content : text === '' ? 'it is empty' : undefined;
  if (fault) throw new Error(`cannot be read from ${file} (${fileVariable(name)}): ${fault}`);
  return text;
}

/** A file's bytes, or why they are not to be had. */
function read(file: string): Buffer | string {
  try {
    if (statSync(file).size > MAX_BYTES) return `it has more than ${MAX_BYTES} bytes`;
    const content = readFileSync(file);
    return isUtf8(content) ? content : 'it is not UTF-8';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}
