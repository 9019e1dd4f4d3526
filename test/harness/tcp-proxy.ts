import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/**
 * A port of our own before a server's, which can be cut: refused like a stopped server's, or silent like a lost
 * network.
 */
export class TcpProxy {
  private server?: Server;
  private port = 0;
  private silent = false;
  private readonly sockets = new Set<Socket>();

  private constructor(private target: number) {}

  static async start(target: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    await proxy.pass(target);
    return proxy;
  }

  /** The same URL, through the proxy. */
  through(url: string): string {
    const changed = new URL(url);
    changed.hostname = '127.0.0.1';
    changed.port = String(this.port);
    return changed.href;
  }

  /** Passes connections, to another port if one is set. Connections that hung continue. */
  async pass(target = this.target): Promise<void> {
    this.target = target;
    this.silent = false;
    for (const socket of this.sockets) socket.resume();
    if (this.server) return;
    const server = createServer({ pauseOnConnect: true }, (client) => this.join(client));
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(this.port, '127.0.0.1', resolve));
    this.server = server;
    this.port = (server.address() as AddressInfo).port;
  }

  /** Ends every connection and refuses new ones. */
  async refuse(): Promise<void> {
    const server = this.server;
    this.server = undefined;
    const closed = new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  /** Accepts connections and data, and sends nothing any more. */
  hang(): void {
    this.silent = true;
    for (const socket of this.sockets) socket.pause();
  }

  private join(client: Socket): void {
    const upstream = connect(this.target, '127.0.0.1');
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      this.sockets.add(from);
      from.on('data', (chunk) => to.write(chunk));
      from.on('error', () => from.destroy());
      from.on('close', () => {
        this.sockets.delete(from);
        to.destroy();
      });
      if (this.silent) from.pause();
      else from.resume();
    }
  }
}
