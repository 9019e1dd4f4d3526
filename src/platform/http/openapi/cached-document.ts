import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { isNotModified } from '../responses/etag';

const compress = promisify(gzip);
const CACHE_CONTROL = 'public, max-age=300';

/**
 * A document that is equal for all clients: built once, compressed once, and sent only if the client has another one.
 */
export class CachedDocument {
  private readonly etag: string;
  /** One for all: clients that do not read share it. */
  private readonly bytes: Buffer;
  private readonly compressed: Promise<Buffer>;

  constructor(
    private readonly mediaType: string,
    text: string,
  ) {
    this.bytes = Buffer.from(text);
    this.etag = createHash('sha256').update(text).digest('base64url').slice(0, 22);
    this.compressed = compress(text);
  }

  async send(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const isGzip = /(^|,)\s*gzip\s*(;\s*q=(1|0\.\d*[1-9]))?\s*(,|$)/i.test(
      String(request.headers['accept-encoding'] ?? ''),
    );
    // Each form is a representation of its own (RFC 9110, 8.8.3).
    const etag = `"${this.etag}${isGzip ? '-gzip' : ''}"`;
    void reply.headers({ etag, 'cache-control': CACHE_CONTROL, vary: 'Accept-Encoding' });
    if (isNotModified(request.headers['if-none-match'], etag)) return void reply.status(304).send();
    void reply.type(`${this.mediaType}; charset=utf-8`);
    if (isGzip) void reply.header('content-encoding', 'gzip').send(await this.compressed);
    else void reply.send(this.bytes);
  }
}
