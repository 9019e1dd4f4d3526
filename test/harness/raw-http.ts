import { connect, type Socket } from 'node:net';
import type { ApiResponse } from './client';

/** A socket to the service, for requests that no HTTP client would send. */
export class RawConnection {
  private received = Buffer.alloc(0);
  private ended = false;
  private wake: () => void = () => undefined;

  private constructor(readonly socket: Socket) {
    socket.on('data', (chunk) => {
      this.received = Buffer.concat([this.received, chunk]);
      this.wake();
    });
    for (const event of ['end', 'close', 'error'] as const) {
      socket.on(event, () => {
        this.ended = true;
        this.wake();
      });
    }
  }

  static open(url: string): Promise<RawConnection> {
    const { hostname, port } = new URL(url);
    return new Promise((resolve, reject) => {
      const socket = connect(Number(port), hostname);
      socket.once('error', reject);
      socket.once('connect', () => resolve(new RawConnection(socket)));
    });
  }

  write(data: string | Buffer): void {
    if (!this.socket.destroyed) this.socket.write(typeof data === 'string' ? Buffer.from(data, 'latin1') : data);
  }

  /** The next response with a Content-Length (or without a body), or undefined when the server closed instead. */
  async response(): Promise<ApiResponse | undefined> {
    for (;;) {
      const end = this.received.indexOf('\r\n\r\n');
      if (end >= 0) {
        const [statusLine = '', ...lines] = this.received.subarray(0, end).toString('latin1').split('\r\n');
        const headers = new Headers(lines.map((line) => line.split(/:\s*(.*)/s).slice(0, 2) as [string, string]));
        const length = Number(headers.get('content-length') ?? 0);
        if (this.received.length >= end + 4 + length) {
          const text = this.received.subarray(end + 4, end + 4 + length).toString('utf8');
          this.received = this.received.subarray(end + 4 + length);
          let body: unknown;
          try {
            body = JSON.parse(text);
          } catch {
            body = undefined;
          }
          const status = Number(statusLine.split(' ')[1]);
          if (status === 100) continue;
          return { status, headers, text, body };
        }
      }
      if (this.ended) return undefined;
      await this.change();
    }
  }

  /** Waits until the server has closed the connection. */
  async closed(): Promise<void> {
    while (!this.ended) await this.change();
  }

  close(): void {
    this.socket.destroy();
  }

  private change(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve;
    });
  }
}

/** One request, sent as it is written, and its response. */
export async function rawRequest(
  url: string,
  head: string,
  body: string | Buffer = '',
): Promise<ApiResponse | undefined> {
  const connection = await RawConnection.open(url);
  try {
    connection.write(head.replace(/\r?\n/g, '\r\n') + '\r\n\r\n');
    connection.write(body);
    return await connection.response();
  } finally {
    connection.close();
  }
}
