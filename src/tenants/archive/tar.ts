/** Entries of a tar archive (POSIX ustar), for an archive of plain files. */

const BLOCK = 512;
const MODE = '0000644';
const NO_ID = '0000000';

/** A file of an archive: its header, its content, and zeros up to the next block. @throws for a name over 100 bytes */
export function tarEntry(name: string, content: Buffer, time: Date): Buffer {
  const padded = Math.ceil(content.length / BLOCK) * BLOCK;
  const entry = Buffer.alloc(BLOCK + padded);
  writeHeader(entry, name, content.length, time);
  content.copy(entry, BLOCK);
  return entry;
}

/** The end of an archive: two blocks of zeros. */
export function tarEnd(): Buffer {
  return Buffer.alloc(2 * BLOCK);
}

function writeHeader(header: Buffer, name: string, size: number, time: Date): void {
  if (Buffer.byteLength(name) > 100) throw new RangeError(`the name ${name} is too long for a tar header`);
  header.write(name, 0, 'utf8');
  header.write(MODE, 100, 'latin1');
  header.write(NO_ID, 108, 'latin1');
  header.write(NO_ID, 116, 'latin1');
  header.write(octal(size), 124, 'latin1');
  header.write(octal(Math.floor(time.getTime() / 1_000)), 136, 'latin1');
  header.write('        ', 148, 'latin1');
  header.write('0', 156, 'latin1');
  header.write('ustar\u000000', 257, 'latin1');
  let sum = 0;
  for (let at = 0; at < BLOCK; at++) sum += header[at] as number;
  header.write(`${sum.toString(8).padStart(6, '0')}\u0000 `, 148, 'latin1');
}

function octal(value: number): string {
  return value.toString(8).padStart(11, '0');
}
