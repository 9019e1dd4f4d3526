import type { Socket } from 'node:net';

/** An interim response is held until its end has arrived; a longer one is left to the parser, which refuses it. */
const MAX_INTERIM_BYTES = 32 * 1024;
/** Every interim response but 101, which changes the protocol and is refused. */
const INTERIM = /^HTTP\/1\.[01] 1(?!01)\d\d[ \r]/;
const PREFIX = 'HTTP/1.';
/** Enough of a response to tell an interim one from a final one. */
const DECISIVE_BYTES = 'HTTP/1.1 100 '.length;
const END_OF_HEAD = '\r\n\r\n';

/**
 * Takes interim responses (1xx) out of the bytes that a socket reads. A client has to accept them before the final
 * response, even where it did not ask for one (RFC 9110, section 15.2); undici breaks the connection off at `100
 * Continue`.
 */
export class InterimResponses {
  /** The beginning of a response, while it is not known yet which kind it is. */
  private held: Buffer | undefined;
  private expecting = false;

  private constructor(private readonly readSocket: () => Buffer | null) {}

  /** Filters what is read from this socket from now on. */
  static filter(socket: Socket): InterimResponses {
    const read = socket.read.bind(socket) as (size?: number) => Buffer | null;
    const filter = new InterimResponses(() => read());
    socket.read = () => filter.read();
    return filter;
  }

  /** A request goes out: the next bytes are the beginning of its response. */
  expect(): void {
    this.expecting = true;
  }

  private read(): Buffer | null {
    for (;;) {
      const chunk = this.readSocket();
      if (chunk === null || !this.expecting) return chunk;
      const passed = this.withoutInterim(this.held ? Buffer.concat([this.held, chunk]) : chunk);
      if (passed) return passed;
    }
  }

  /** What is left for the parser; undefined while more is needed to decide. */
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
    this.held = bytes;
  }

  private pass(bytes: Buffer): Buffer {
    this.held = undefined;
    this.expecting = false;
    return bytes;
  }
}

function isPrefix(bytes: Buffer): boolean {
  const text = bytes.toString('latin1', 0, PREFIX.length);
  return PREFIX.startsWith(text);
}
