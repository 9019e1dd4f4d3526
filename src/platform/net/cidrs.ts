/** Ranges of addresses in CIDR notation: `10.0.0.0/8`, `fd00::/8`. */
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

export type Address = ipaddr.IPv4 | ipaddr.IPv6;
export type Cidr = readonly [Address, number];

/** An address in its plain form, or undefined for zones and unusual spellings that ipaddr.js accepts. */
export function parseAddress(ip: string): Address | undefined {
  return isIP(ip) === 0 || ip.includes('%') ? undefined : ipaddr.parse(ip);
}

export function contains([network, bits]: Cidr, address: Address): boolean {
  return network.kind() === address.kind() && address.match(network, bits);
}

/** Parses one range. @throws RangeError that states the fault */
export function parseCidr(text: string): Cidr {
  const cidr = text.trim();
  const fail = (why: string) => new RangeError(`${JSON.stringify(cidr)}: ${why}`);
  const match = /^([^/]+)\/(0|[1-9]\d{0,2})$/.exec(cidr);
  if (!match) throw fail('expected an address, a slash and a prefix length, such as 10.0.0.0/8 or fd00::/8');
  const [, ip, bitsText] = match;
  const address = parseAddress(ip!);
  if (!address) throw fail('not an IPv4 or IPv6 address in its plain form');
  const bits = Number(bitsText);
  const width = address.kind() === 'ipv4' ? 32 : 128;
  if (bits > width) throw fail(`the prefix length is at most ${width}`);
  // 10.1.0.0/8 would open all of 10.0.0.0/8, which is more than intended.
  if (hasHostBits(address, bits))
    throw fail(`bits are set beyond the first ${bits}: write the first address of the range`);
  return [address, bits];
}

function hasHostBits(address: Address, bits: number): boolean {
  return address.toByteArray().some((byte, index) => {
    const kept = Math.min(Math.max(bits - index * 8, 0), 8);
    return (byte & (0xff >> kept)) !== 0;
  });
}
