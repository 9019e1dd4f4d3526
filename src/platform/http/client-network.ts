import type { FastifyRequest } from 'fastify';
import ipaddr from 'ipaddr.js';
import type { RequestOrigin } from '../audit/audit-entry';

/** Groups of an IPv6 address that name a network; the other four are its holder's to choose. */
const NETWORK_GROUPS = 4;

/**
 * What callers are counted by: an IPv4 address, or the /64 of an IPv6 address. Whoever has one IPv6 address has at least the
 * 2^64 of its network, and limits per address would be none.
 */
export function clientNetwork(address: string): string {
  if (!address.includes(':') || !ipaddr.isValid(address)) return address;
  const parsed = ipaddr.parse(address);
  if (!(parsed instanceof ipaddr.IPv6)) return address;
  if (parsed.isIPv4MappedAddress()) return parsed.toIPv4Address().toString();
  const groups = parsed.parts.slice(0, NETWORK_GROUPS).map((group) => group.toString(16));
  return `${groups.join(':')}::/64`;
}

/** Where a request comes from, as the audit log keeps it. */
export function originOf(request: FastifyRequest): RequestOrigin {
  return { requestId: request.id, network: clientNetwork(request.ip), userAgent: request.headers['user-agent'] };
}
