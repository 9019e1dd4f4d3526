/** HTTP Basic authentication (RFC 7617) for the operator, with a limit on guessing. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { clientNetwork } from '../../net/client-network';

const FAILURES_FREE = 10;
const WINDOW_MS = 15 * 60_000;
const MAX_NETWORKS = 10_000;

/** A refusal: the status and its headers. */
export interface BasicAuthRefusal {
  status: 401 | 429;
  headers: Record<string, string>;
}

interface Failures {
  count: number;
  until: number;
}

/** Authenticates one user. After ten failures a network waits until a quarter of an hour after the first one. */
export class BasicAuth {
  private readonly expected: Buffer;
  private readonly failures = new Map<string, Failures>();

  constructor(
    user: string,
    password: string,
    private readonly realm: string,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.expected = digest(`${user}:${password}`);
  }

  /** Undefined if the request may pass. */
  refusal(authorization: string | undefined, address: string): BasicAuthRefusal | undefined {
    const network = clientNetwork(address);
    const failures = this.failuresOf(network);
    if (failures && failures.count >= FAILURES_FREE) {
      // Also for the right password: otherwise the limit would reveal it.
      const seconds = Math.ceil((failures.until - this.now()) / 1000);
      return { status: 429, headers: { 'retry-after': String(Math.max(1, seconds)) } };
    }
    if (authorization !== undefined) {
      if (this.matches(authorization)) return undefined;
      this.count(network, failures);
    }
    return { status: 401, headers: { 'www-authenticate': `Basic realm="${this.realm}", charset="UTF-8"` } };
  }

  private matches(authorization: string): boolean {
    const encoded = /^Basic +([A-Za-z0-9+/]+=*) *$/i.exec(authorization)?.[1] ?? '';
    // Digests have one length: the comparison takes constant time and reveals no length.
    return timingSafeEqual(digest(Buffer.from(encoded, 'base64')), this.expected);
  }

  private failuresOf(network: string): Failures | undefined {
    const known = this.failures.get(network);
    if (known && known.until <= this.now()) {
      this.failures.delete(network);
      return undefined;
    }
    return known;
  }

  private count(network: string, failures: Failures | undefined): void {
    if (failures) {
      failures.count++;
      return;
    }
    if (this.failures.size >= MAX_NETWORKS) this.failures.delete(this.failures.keys().next().value as string);
    this.failures.set(network, { count: 1, until: this.now() + WINDOW_MS });
  }
}

function digest(text: string | Buffer): Buffer {
  return createHash('sha256').update(text).digest();
}
