/**
 * Connections to receivers. The rule of this file: a socket opens only to an address that was checked immediately
 * before, and it gets this address, not a name. So a resolver that changes its answer between check and dial, or
 * between two deliveries, gains nothing; and a kept connection still leads to the checked address.
 *
 * undici's own pools were rejected. They limit concurrent requests per origin, so that one tenant's hanging endpoint
 * would block all others on a shared host (hooks.slack.com); and a request that waits in their queues cannot be
 * withdrawn at its deadline. Here each running request has its own connection, the caller limits the number of
 * requests, and this file limits the number of idle connections: per origin and in total.
 */
import { isIP, connect as connectPlain } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectSecure } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import { Client } from 'undici';
import type { buildConnector, Dispatcher } from 'undici';
import { InterimResponses } from './interim-responses';
import { allowsHttpTo, isAllowedAddress } from './ssrf-policy';
import type { SsrfPolicy } from './ssrf-policy';
import type { Resolve } from './resolver';
import { SendFailure, toSendFailure } from './send-failure';

export interface SocketTarget {
  /** A literal address. */
  address: string;
  port: number;
  secure: boolean;
  /** For SNI and the check of the certificate; empty for a URL with a literal address. */
  servername: string;
}
export type OpenSocket = (target: SocketTarget) => Socket;

export interface ConnectionSettings {
  policy: SsrfPolicy;
  resolve: Resolve;
  openSocket: OpenSocket;
  /** Idle connections that are kept per tenant and origin, and in total. */
  maxIdlePerOrigin: number;
  maxIdle: number;
  /** How long an idle connection is kept, unless the receiver names another time in `Keep-Alive`. */
  idleTimeout: number;
  /** The longest time that a receiver may name. */
  maxIdleTimeout: number;
  /** Maximum age of a connection, so that a moved host is resolved and checked again. */
  maxAge: number;
}

const MAX_HEADER_BYTES = 32 * 1024;
/** How many of a host's addresses are tried, and the timeout of each but the last. */
const MAX_ADDRESSES = 4;
const ADDRESS_TIMEOUT = 2_000;

/** The sockets of production: certificates are always checked, also with NODE_TLS_REJECT_UNAUTHORIZED=0. */
export function socketOpener(tls: Pick<ConnectionOptions, 'ca'> = {}): OpenSocket {
  return ({ address: host, port, secure, servername }) => {
    const socket = secure
      ? connectSecure({ ...tls, host, port, servername, rejectUnauthorized: true, ALPNProtocols: ['http/1.1'] })
      : connectPlain({ host, port });
    return socket.setNoDelay(true).setKeepAlive(true, 60_000);
  };
}

const NAME_REFUSED = 'host not found or not allowed';
/** The reasons to close an unused connection. One error each, since the stack of an error is expensive. */
const NOT_USABLE = new SendFailure('not sent', 'no longer usable');
const NOT_KEPT = new SendFailure('not sent', 'not kept');
const CLOSED_WHILE_IDLE = new SendFailure('not sent', 'closed while idle');

/** One HTTP/1.1 connection with one request at a time on it. */
export class Connection {
  readonly client: Client;
  socket: Socket | undefined;
  /** Responses over this socket. */
  served = 0;
  #openedAt = 0;
  #opening: Socket | undefined;
  #interim: InterimResponses | undefined;
  #dead = false;

  /** @param key the tenant and origin that may share it */
  constructor(
    readonly key: string,
    readonly origin: string,
    private readonly options: ConnectionSettings,
    onLost: (connection: Connection) => void,
  ) {
    this.client = new Client(origin, {
      maxHeaderSize: MAX_HEADER_BYTES,
      keepAliveTimeout: options.idleTimeout,
      keepAliveMaxTimeout: options.maxIdleTimeout,
      // The client's single deadline replaces all timeouts of undici.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: (_target, callback) => this.#handOver(callback),
    });
    this.client.on('disconnect', () => onLost(this));
  }

  get reusable(): boolean {
    return !this.#dead && this.socket?.destroyed === false && performance.now() - this.#openedAt < this.options.maxAge;
  }

  /** Closes it at once. */
  destroy(reason: Error): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#opening?.destroy();
    this.client.destroy(reason).catch(() => undefined);
  }

  /**
   * Opens the socket before a request is written, so that the caller can check between the two whether the request is
   * still wanted.
   * @throws SendFailure
   */
  async open(): Promise<void> {
    const { hostname, protocol, port } = new URL(this.origin);
    try {
      const socket = await this.#dial({ hostname: hostname.replace(/^\[|\]$/g, ''), protocol, port });
      if (this.#dead) {
        socket.destroy();
        throw new SendFailure('timed out', 'given up while connecting');
      }
      this.socket = socket;
      this.served = 0;
      this.#openedAt = performance.now();
      this.#interim = InterimResponses.filter(socket);
    } catch (error) {
      throw toSendFailure(error, false);
    }
  }

  /** Writes a request to it. */
  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void {
    this.#interim?.expect();
    this.client.dispatch(options, handler);
  }

  #handOver(callback: buildConnector.Callback): void {
    // Later in this turn: undici ignores a socket that it gets while it requests one.
    queueMicrotask(() => {
      const { socket } = this;
      if (socket && !socket.destroyed) callback(null, socket);
      else callback(new SendFailure('connection reset', 'closed before the request'), null);
    });
  }

  async #dial({ hostname, protocol, port }: Pick<URL, 'hostname' | 'protocol' | 'port'>): Promise<Socket> {
    const literal = isIP(hostname) !== 0;
    const addresses = literal ? [hostname] : await this.#lookUp(hostname);
    const refused = addresses.filter((address) => !isAllowedAddress(address, this.options.policy));
    // One phrase for a name that does not resolve and one that is not allowed: a tenant must not learn which internal
    // names exist. A literal address reveals nothing new.
    const phrase = literal ? 'destination not allowed' : NAME_REFUSED;
    // One forbidden address refuses the whole host: mixed results are the way of DNS rebinding.
    if (refused.length > 0) throw new SendFailure(phrase, `${hostname} is ${refused.join(', ')}`);
    const secure = protocol === 'https:';
    const plain = secure ? [] : addresses.filter((address) => !allowsHttpTo(address, this.options.policy));
    if (plain.length > 0) throw new SendFailure(phrase, `${hostname} is ${plain.join(', ')}: https only`);
    const numericPort = Number(port) || (secure ? 443 : 80);
    const tried = addresses.slice(0, MAX_ADDRESSES);
    let failure: unknown;
    for (const [index, address] of tried.entries()) {
      const target = { address, port: numericPort, secure, servername: literal ? '' : hostname };
      try {
        return await this.#open(target, index < tried.length - 1 ? ADDRESS_TIMEOUT : undefined);
      } catch (error) {
        failure = error;
      }
    }
    throw failure ?? new SendFailure(NAME_REFUSED, `${hostname} has no address`);
  }

  async #lookUp(hostname: string): Promise<readonly string[]> {
    try {
      return await this.options.resolve(hostname);
    } catch (error) {
      throw new SendFailure(NAME_REFUSED, toSendFailure(error, false).message, error);
    }
  }

  #open(target: SocketTarget, timeout?: number): Promise<Socket> {
    // The deadline may have passed during the lookup: then no connection is opened.
    if (this.#dead) return Promise.reject(new SendFailure('timed out', 'given up before dialling'));
    const socket = this.options.openSocket(target);
    this.#opening = socket;
    return new Promise<Socket>((resolve, reject) => {
      let reached = false;
      const fail = (error: unknown) => {
        clearTimeout(timer);
        socket.destroy();
        reject(
          reached && target.secure ? new SendFailure('TLS error', toSendFailure(error, false).message, error) : error,
        );
      };
      const timer =
        timeout === undefined
          ? undefined
          : setTimeout(() => fail(new SendFailure('timed out', `${target.address} did not answer`)), timeout);
      const onClose = () => fail(new SendFailure('connection reset', 'closed while connecting'));
      socket.once('connect', () => (reached = true));
      socket.once(target.secure ? 'secureConnect' : 'connect', () => {
        clearTimeout(timer);
        socket.off('close', onClose);
        resolve(socket);
      });
      // Stays for the socket's life: an error without a listener would end the process.
      socket.on('error', fail);
      socket.once('close', onClose);
    });
  }
}

/** Idle connections, by tenant and origin, the longest unused first: a Map keeps the order of insertion. */
export class IdleConnections {
  readonly #byKey = new Map<string, Connection[]>();
  #count = 0;

  constructor(private readonly options: ConnectionSettings) {}

  get size(): number {
    return this.#count;
  }

  /** The most recently used one, which the receiver is least likely to have closed. */
  take(key: string): Connection | undefined {
    const list = this.#byKey.get(key);
    while (list && list.length > 0) {
      const connection = list.pop()!;
      this.#count--;
      if (list.length === 0) this.#byKey.delete(key);
      if (connection.reusable) return connection;
      connection.destroy(NOT_USABLE);
    }
    return undefined;
  }

  put(connection: Connection): void {
    const { key } = connection;
    const list = this.#byKey.get(key) ?? [];
    if (!connection.reusable || list.length >= this.options.maxIdlePerOrigin) {
      connection.destroy(NOT_KEPT);
      return;
    }
    list.push(connection);
    this.#count++;
    this.#byKey.delete(key);
    this.#byKey.set(key, list);
    while (this.#count > this.options.maxIdle) this.#evict();
  }

  /** Drops a connection that was closed while idle; a used one is not listed here. */
  remove(connection: Connection): void {
    const list = this.#byKey.get(connection.key);
    const index = list?.indexOf(connection) ?? -1;
    if (!list || index < 0) return;
    list.splice(index, 1);
    this.#count--;
    if (list.length === 0) this.#byKey.delete(connection.key);
    connection.destroy(CLOSED_WHILE_IDLE);
  }

  clear(): void {
    while (this.#count > 0) this.#evict();
  }

  #evict(): void {
    const [oldest] = this.#byKey.values();
    if (oldest?.[0]) this.remove(oldest[0]);
  }
}
