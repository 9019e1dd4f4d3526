import { Agent, createServer, request as send, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 100;
const POLL_TIMEOUT_MS = 1_000;

/** A process behind the balancer. */
interface Upstream {
  url: string;
  agent: Agent;
  ready: boolean;
}

/**
 * A minimal balancer: requests go round-robin, over kept connections, to the processes whose
 * `/health/ready?exclude=queue` has just returned 200. It retries nothing, so that every dropped request is visible.
 */
export class Balancer {
  private readonly upstreams: Upstream[] = [];
  private readonly server = createServer((request, response) => this.pass(request, response));
  private stopped = false;
  private next = 0;

  private constructor() {}

  static async start(): Promise<Balancer> {
    const balancer = new Balancer();
    await new Promise<void>((resolve) => balancer.server.listen(0, '127.0.0.1', resolve));
    return balancer;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Adds a process; its readiness is checked until {@link remove}. */
  add(url: string): void {
    const upstream = { url, agent: new Agent({ keepAlive: true }), ready: false };
    this.upstreams.push(upstream);
    void this.watch(upstream);
  }

  remove(url: string): void {
    const index = this.upstreams.findIndex((upstream) => upstream.url === url);
    this.upstreams.splice(index, 1).forEach(({ agent }) => agent.destroy());
  }

  /** Whether the process was ready when it was last asked. */
  isReady(url: string): boolean {
    return this.upstreams.some((upstream) => upstream.url === url && upstream.ready);
  }

  async stop(): Promise<void> {
    this.stopped = true;
    for (const { agent } of this.upstreams) agent.destroy();
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  /** One check at a time: a late result of an old one must not overwrite a newer one. */
  private async watch(upstream: Upstream): Promise<void> {
    while (!this.stopped && this.upstreams.includes(upstream)) {
      upstream.ready = await fetch(`${upstream.url}/health/ready?exclude=queue`, {
        signal: AbortSignal.timeout(POLL_TIMEOUT_MS),
      })
        .then(async (response) => {
          await response.arrayBuffer();
          return response.status === 200;
        })
        .catch(() => false);
      await delay(POLL_MS);
    }
  }

  private pass(request: IncomingMessage, response: ServerResponse): void {
    const ready = this.upstreams.filter((upstream) => upstream.ready);
    const upstream = ready[this.next++ % ready.length];
    if (!upstream) {
      response.writeHead(502).end('no process is ready');
      return;
    }
    const onward = send(
      `${upstream.url}${request.url}`,
      { method: request.method, headers: request.headers, agent: upstream.agent },
      (reply) => {
        // Headers of the connection to the process do not apply to the client's.
        const { connection: _, ...headers } = reply.headers;
        response.writeHead(reply.statusCode ?? 502, headers);
        reply.pipe(response);
        reply.on('error', () => response.destroy());
      },
    );
    onward.on('error', (error) => {
      if (response.headersSent) response.destroy();
      else response.writeHead(502).end(`the process dropped a request: ${error.message}`);
    });
    request.pipe(onward);
  }
}
