/**
 * The kept part of a receiver's response: a few KiB for the delivery log. The bytes are untrusted, so everything is
 * bounded: the bytes read, the bytes decompressed, and the number of concurrent decompressions.
 */
import { constants, createBrotliDecompress, createGunzip, createInflate, createInflateRaw } from 'node:zlib';
import type { Transform } from 'node:stream';

/** Bytes read of a response, compressed or not. */
export const READ_LIMIT = 64 * 1024;
/** Bytes of its text that are kept. */
export const KEEP_LIMIT = 4 * 1024;

export class ResponseBody {
  readonly #encoding: string;
  readonly #keep: number;
  readonly #chunks: Buffer[] = [];
  #read = 0;

  constructor(contentEncoding: string | undefined) {
    this.#encoding = contentEncoding?.trim().toLowerCase() || 'identity';
    // Of plain text only the first few KiB are needed (and one byte, to see that there was more).
    this.#keep = this.#encoding === 'identity' ? KEEP_LIMIT + 1 : READ_LIMIT;
  }

  /** False once no more is to be read. */
  add(chunk: Buffer): boolean {
    if (this.#read < this.#keep) this.#chunks.push(chunk);
    this.#read += chunk.length;
    return this.#read <= READ_LIMIT;
  }

  /** The text to keep; undefined for an unknown content coding. */
  text(): string | Promise<string | undefined> {
    const bytes = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    if (this.#encoding === 'identity' || bytes.length === 0) return toStorableText(bytes);
    return unpackInTurn(bytes.subarray(0, READ_LIMIT), this.#encoding).then(
      (unpacked) => unpacked && toStorableText(unpacked),
    );
  }
}

/**
 * UTF-8 that PostgreSQL's text accepts: no NUL, nothing invalid (each becomes U+FFFD), no half character at the cut,
 * and at most 4 KiB after replacing.
 */
export function toStorableText(bytes: Buffer): string {
  const isCut = bytes.length > KEEP_LIMIT;
  let text = bytes.toString('utf8', 0, KEEP_LIMIT);
  if (isCut && text.endsWith('\ufffd')) text = text.slice(0, -1);
  if (text.includes('\0')) text = text.replaceAll('\0', '\ufffd');
  // Replacing makes it longer: U+FFFD takes three bytes.
  if (text.length * 3 <= KEEP_LIMIT || Buffer.byteLength(text) <= KEEP_LIMIT) return text;
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(KEEP_LIMIT));
  return text.slice(0, read);
}

/**
 * One at a time: a brotli stream may require a window of 16 MiB however little it holds, and a hundred at once would
 * exhaust the memory. Each is quick, since it stops after a few KiB.
 */
let turn: Promise<unknown> = Promise.resolve();

function unpackInTurn(bytes: Buffer, encoding: string): Promise<Buffer | undefined> {
  const mine = turn.then(() => unpack(bytes, encoding));
  turn = mine.catch(() => undefined);
  return mine;
}

function unpack(bytes: Buffer, encoding: string): Promise<Buffer | undefined> {
  const stream = decoderFor(bytes, encoding);
  if (!stream) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const done = () => {
      stream.destroy();
      resolve(Buffer.concat(chunks));
    };
    stream.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size > KEEP_LIMIT) done();
    });
    // The part before the damage, or before the cut, is shown.
    stream.on('end', done).on('error', done);
    stream.end(bytes);
  });
}

function decoderFor(bytes: Buffer, encoding: string): Transform | undefined {
  const options = { chunkSize: 2 * KEEP_LIMIT, finishFlush: constants.Z_SYNC_FLUSH };
  switch (encoding) {
    case 'gzip':
    case 'x-gzip':
      return createGunzip(options);
    case 'deflate':
      // RFC 9110 means zlib's wrapping; some servers send the bare stream.
      return (bytes[0]! & 0x0f) === 8 ? createInflate(options) : createInflateRaw(options);
    case 'br':
      return createBrotliDecompress({ chunkSize: options.chunkSize, finishFlush: constants.BROTLI_OPERATION_FLUSH });
    default:
      return undefined;
  }
}
