import { isUtf8 } from 'node:buffer';
import { readFileSync, statSync } from 'node:fs';

const MAX_BYTES = 64 * 1024;

/** The variable that names a secret's file, as container platforms mount secrets. */
export function fileVariable(name: string): string {
  return `${name}_FILE`;
}

const BYTE_ORDER_MARK = '\uFEFF';

/**
 * The secret in a file, without its last newline, which editors and `echo` add, and without the byte order mark of
 * editors on Windows.
 * @throws Error whose message completes "NAME …" and never repeats the content of the file
 */
export function readSecretFile(name: string, file: string): string {
  const content = read(file);
  const decoded = typeof content === 'string' ? '' : content.toString('utf8').replace(/\r?\n$/, '');
  const text = decoded.startsWith(BYTE_ORDER_MARK) ? decoded.slice(1) : decoded;
  const fault = typeof content === 'string' ? content : faultOf(text);
  if (fault) throw new Error(`cannot be read from ${file} (${fileVariable(name)}): ${fault}`);
  return text;
}

/** White space at an end is a slip of an editor or a template; with it the secret would be another one. */
function faultOf(text: string): string | undefined {
  if (text.trim() === '') return 'it is empty; restore its content';
  return text === text.trim() ? undefined : 'it begins or ends with white space; remove that';
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
