import { isIP } from 'node:net';
import type { FastifyRequest } from 'fastify';
import ipaddr from 'ipaddr.js';
import type { RequestOrigin } from '../audit/audit-entry';
import { contains, parseAddress, parseCidr } from './cidrs';

/** Groups of an IPv6 address that name a network; the other four are its holder's to choose. */
const NETWORK_GROUPS = 4;
const BRACKETED = /^\[([^\]]*)\](?::\d{1,5})?$/;
const IPV4_WITH_PORT = /^([\d.]+):\d{1,5}$/;

/**
 * The network by which callers are counted: an IPv4 address, or the /64 of an IPv6 address. The holder of one IPv6
 * address has at least the 2^64 of its network, so that limits per address would have no effect.
 */
export function clientNetwork(address: string): string {
  if (!address.includes(':') || !ipaddr.isValid(address)) return address;
  const parsed = ipaddr.parse(address);
  if (!(parsed instanceof ipaddr.IPv6)) return address;
  if (parsed.isIPv4MappedAddress()) return parsed.toIPv4Address().toString();
  const groups = parsed.parts.slice(0, NETWORK_GROUPS).map((group) => group.toString(16));
  return `${groups.join(':')}::/64`;
}

/**
 * The address of a request's caller. An entry of `X-Forwarded-For` may have a port, as some gateways write it; an entry
 * that is no address counts as the peer's, or each spelling would be a caller of its own.
 */
export function callerAddress({ ip, socket }: Pick<FastifyRequest, 'ip' | 'socket'>): string {
  const peer = socket.remoteAddress;
  if (ip === peer) return ip;
  const address = withoutPort(ip);
  return isIP(address) === 0 ? (peer ?? '') : address;
}

/** The network of a request's caller, see {@link clientNetwork}. */
export function callerNetwork(request: Pick<FastifyRequest, 'ip' | 'socket'>): string {
  return clientNetwork(callerAddress(request));
}

/** The origin of a request, as the audit log stores it. */
export function originOf(request: FastifyRequest): RequestOrigin {
  return new OriginOfRequest(request.id, callerAddress(request), request.headers['user-agent']);
}

/** Few requests are audited: the network is worked out for those. The address is gone once the connection is. */
class OriginOfRequest implements RequestOrigin {
  constructor(
    readonly requestId: string,
    private readonly address: string,
    readonly userAgent: string | undefined,
  ) {}

  get network(): string {
    return clientNetwork(this.address);
  }
}

/** `203.0.113.9:40001` and `[2001:db8::1]:40001` as the address alone. */
function withoutPort(entry: string): string {
  return BRACKETED.exec(entry)?.[1] ?? IPV4_WITH_PORT.exec(entry)?.[1] ?? entry;
}

/** Fastify's `trustProxy` of the variable `TRUST_PROXY`: whether an address of the chain is a trusted proxy. */
export function trustedProxies(text: string): boolean | ((address: string, hop: number) => boolean) {
  if (text === 'true' || text === 'false') return text === 'true';
  // Fastify takes a bare number of hops as "trust no proxy": then all callers would share the address of the proxy.
  if (/^\d+$/.test(text)) return (_, hop) => hop < Number(text);
  const ranges = text.split(',').map((entry) => parseCidr(toRange(entry.trim())));
  return (entry) => {
    const address = parseAddress(withoutPort(entry));
    if (!address) return false;
    const plain = address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() ? address.toIPv4Address() : address;
    return ranges.some((range) => contains(range, address) || contains(range, plain));
  };
}

function toRange(entry: string): string {
  return isIP(entry) === 0 ? entry : `${entry}/${isIP(entry) === 4 ? 32 : 128}`;
}
