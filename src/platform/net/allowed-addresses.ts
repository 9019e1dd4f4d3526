import ipaddr from 'ipaddr.js';
import { type Cidr, contains, parseAddress, parseCidr } from './cidrs';

/** The addresses that a tenant, or the holder of a key, allows: those of the ranges, or all without ranges. */
export class AllowedAddresses {
  private readonly ranges: readonly Cidr[];

  constructor(cidrs: readonly string[]) {
    this.ranges = cidrs.map(parseCidr);
  }

  /** Whether the address is allowed. An IPv4 address that IPv6 wraps also counts as itself. */
  has(address: string): boolean {
    if (this.ranges.length === 0) return true;
    const parsed = parseAddress(address);
    if (!parsed) return false;
    const plain = parsed instanceof ipaddr.IPv6 && parsed.isIPv4MappedAddress() ? parsed.toIPv4Address() : parsed;
    return this.ranges.some((range) => contains(range, parsed) || contains(range, plain));
  }
}
