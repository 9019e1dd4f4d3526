/**
 * Receivers that misbehave deliberately, all on 127.0.0.1. `stubHttp` responds as Node's server does; `stubRaw` gets
 * the socket and writes any bytes.
 */
import { createServer as createHttpServer } from 'node:http';
import type { IncomingHttpHeaders, RequestListener, ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { createServer as createTcpServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

export interface StubReceiver {
  port: number;
  /** `http://127.0.0.1:<port>`, or https. */
  origin: string;
  /** Sockets that are open now, and how many were ever accepted. */
  sockets: Set<Socket>;
  accepted: number;
  /** Resolves once no socket is open any more. */
  drained(): Promise<void>;
  close(): Promise<void>;
}

export interface ReceivedRequest {
  method: string;
  url: string;
  headers: IncomingHttpHeaders;
  rawHeaders: string[];
  body: Buffer;
}

/** Self-signed, for receiver.test and 127.0.0.1; made for these tests, and trusted only by them. */
export const stubCertificate = `-----BEGIN CERTIFICATE-----
MIIBczCCARmgAwIBAgIBATAKBggqhkjOPQQDAjAYMRYwFAYDVQQDDA1yZWNlaXZl
ci50ZXN0MCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAYMRYwFAYD
VQQDDA1yZWNlaXZlci50ZXN0MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEcQDh
xXENACKjQJpa56HW7ErVzLdgXPDE4/1ksiZOsamtWjFDN0o0JpWXlHSQmwu0BDoH
wbPSMoRZM84oOMenkKNSMFAwHgYDVR0RBBcwFYINcmVjZWl2ZXIudGVzdIcEfwAA
ATAPBgNVHRMBAf8EBTADAQH/MB0GA1UdDgQWBBSp5uYQEyxZyiWE3L+1mRxIK3j2
hDAKBggqhkjOPQQDAgNIADBFAiB9QIGjBP4pU6vUfJcVkYobvJzOpGlazU8LpVQ8
IMq7sgIhAJdf9neUyBsXqdAQdbeyTqsJxkm2Zd3X7uDhB96oW+AR
-----END CERTIFICATE-----
`;

const stubKey = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgT1KyHUwdXDzpNFUO
bH16vrDnVv2yxihMRmmz7UWh9SqhRANCAARxAOHFcQ0AIqNAmlrnodbsStXMt2Bc
8MTj/WSyJk6xqa1aMUM3SjQmlZeUdJCbC7QEOgfBs9IyhFkzzig4x6eQ
-----END PRIVATE KEY-----
`;

async function listen(server: Server, scheme: 'http' | 'https'): Promise<StubReceiver> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    receiver.accepted++;
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const receiver: StubReceiver = {
    port,
    origin: `${scheme}://127.0.0.1:${port}`,
    sockets,
    accepted: 0,
    async drained() {
      while (sockets.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return receiver;
}

export type Respond = (request: ReceivedRequest, response: ServerResponse) => void;

/** Collects the request, records it in `received`, then calls `respond` for the response (default: 200 and `ok`). */
export async function stubHttp(
  respond?: Respond,
  { secure = false } = {},
): Promise<StubReceiver & { received: ReceivedRequest[] }> {
  const received: ReceivedRequest[] = [];
  const listener: RequestListener = (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('error', () => undefined);
    request.on('end', () => {
      const { method = '', url = '', headers, rawHeaders } = request;
      const noted = { method, url, headers, rawHeaders, body: Buffer.concat(chunks) };
      received.push(noted);
      if (respond) respond(noted, response);
      else response.end('ok');
    });
  };
  const server = secure
    ? createHttpsServer({ key: stubKey, cert: stubCertificate }, listener)
    : createHttpServer(listener);
  // The sender closes first.
  server.keepAliveTimeout = 120_000;
  const receiver = await listen(server, secure ? 'https' : 'http');
  return Object.assign(receiver, { received });
}

/** Calls `respond` with each socket: immediately, or when the first bytes of each request came. */
export function stubRaw(
  respond: (socket: Socket, count: number) => void,
  { when = 'request' }: { when?: 'request' | 'connection' } = {},
): Promise<StubReceiver> {
  let count = 0;
  const server = createTcpServer((socket) => {
    if (when === 'connection') {
      socket.resume();
      respond(socket, ++count);
    } else {
      socket.on('data', () => respond(socket, ++count));
    }
  });
  return listen(server, 'http');
}

/** Writes `chunk` repeatedly, as fast as the other side reads, until it is closed; counts the bytes. */
export function flood(socket: Socket, chunk: string | Buffer): { bytes: () => number } {
  const write = () => {
    while (!socket.destroyed && socket.write(chunk));
  };
  socket.on('drain', write);
  write();
  return { bytes: () => socket.bytesWritten };
}

/** Writes one byte at a time. */
export function drip(socket: Socket, text: string, interval = 10): void {
  let at = 0;
  const timer = setInterval(() => {
    if (at < text.length && !socket.destroyed) socket.write(text[at++]!);
    else clearInterval(timer);
  }, interval);
  socket.on('close', () => clearInterval(timer));
}
