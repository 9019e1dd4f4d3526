import type { Socket } from 'node:net';

/** An interim response is held until its end has arrived; a longer one goes to the parser, which refuses it. */
const MAX_INTERIM_BYTES = 32 * 1024;
/** Every interim response but 101, which changes the protocol and is refused. */
const INTERIM = /^HTTP\/1\.[01] 1(?!01)\d\d[ \r]/;
const PREFIX = 'HTTP/1.';
/** Enough bytes to distinguish an interim response from a final one. */
const DECISIVE_BYTES = 'HTTP/1.1 100 '.length;
const END_OF_HEAD = '\r\n\r\n';

/**
 * Removes interim responses (1xx) from the bytes that a socket reads. A client must accept them before the final
 * response, even if it did not request one (RFC 9110, section 15.2); undici aborts the connection at `100 Continue`.
 */
export class InterimResponses {
  /** The beginning of a response, while it is not known yet which kind it is. */
  private pending: Buffer | undefined;
  private expecting = false;

  private constructor(private readonly readSocket: () => Buffer | null) {}

  /** Filters the bytes that are read from this socket from now on. */
  static filter(socket: Socket): InterimResponses {
    const read = socket.read.bind(socket) as (size?: number) => Buffer | null;
    const filter = new InterimResponses(() => read());
    socket.read = () => filter.read();
    return filter;
  }

  /** A request starts: the next bytes are the beginning of its response. */
  expect(): void {
    this.expecting = true;
  }

  private read(): Buffer | null {
    for (;;) {
      const chunk = this.readSocket();
      if (chunk === null || !this.expecting) return chunk;
      const passed = this.withoutInterim(this.pending ? Buffer.concat([this.pending, chunk]) : chunk);
      if (passed) return passed;
    }
  }

  /** The remaining bytes for the parser; undefined while a decision needs more. */
  private withoutInterim(bytes: Buffer): Buffer | undefined {
    let rest = bytes;
    while (INTERIM.test(rest.toString('latin1', 0, DECISIVE_BYTES))) {
      const end = rest.indexOf(END_OF_HEAD);
      if (end < 0) return rest.length > MAX_INTERIM_BYTES ? this.pass(rest) : this.hold(rest);
      rest = rest.subarray(end + END_OF_HEAD.length);
    }
    return rest.length < DECISIVE_BYTES && isPrefix(rest) ? this.hold(rest) : this.pass(rest);
  }

  private hold(bytes: Buffer): undefined {
    this.pending = bytes;
  }

  private pass(bytes: Buffer): Buffer {
    this.pending = undefined;
    this.expecting = false;
    return bytes;
  }
}

function isPrefix(bytes: Buffer): boolean {
  const text = bytes.toString('latin1', 0, PREFIX.length);
  return PREFIX.startsWith(text);
}
