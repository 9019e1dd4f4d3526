/**
 * The destinations that a webhook must not reach. A tenant names the URL, and the service dials it from inside our
 * network: internal systems must not be reachable through it. Two checks, of which the second one is the protection:
 *
 * - `checkUrl`, at registration and again before each send, reads the text alone. It resolves nothing: a name does not
 *   show where it will point tomorrow.
 * - `isAllowedAddress`, at connect time, checks every address that the resolver returned and the address that is
 *   dialled.
 *
 * ipaddr.js (2.5) parses addresses and has the special ranges. It was compared with IANA's special-purpose registries,
 * and this file covers its gaps:
 * - It lists special ranges and reports all others as `unicast`. That is complete for IPv4. In IPv6 it accepts the
 *   IPv4-compatible `::7f00:1`, the dummy prefix `100:0:0:1::/64` and most of the unassigned space (`::2`, `200::/7`,
 *   `4000::/3`, `8000::/1`…). So IPv6 must first be in 2000::/3, the only space that is assigned to the internet.
 * - It parses forms that no resolver returns (`0177.1`, zones; `::127.0.0.1` as IPv4-mapped), and prints `::` as `:`.
 *   So text must pass net.isIP, has no zone, and is never printed by it.
 * - ISATAP interface ids contain an IPv4 address under any prefix. Azure's wire server, which serves a virtual
 *   machine's secrets, has an ordinary public address. A private NAT64 prefix (RFC 6052) cannot be detected: do not run
 *   one on a network from which workers dial out.
 */
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { type Address, type Cidr, contains, parseAddress } from '../../platform/net/cidrs';
import { parseUrl } from '../../platform/net/parse-url';

export interface SsrfPolicy {
  /** `WEBHOOK_ALLOW_HTTP`: http in addition to https, for any allowed destination. */
  readonly allowHttp: boolean;
  /** `WEBHOOK_ALLOW_CIDRS`: one's own ranges, opened with http included. */
  readonly allowCidrs: readonly Cidr[];
}

export type UrlFault =
  | 'too_long'
  | 'invalid_url'
  | 'control_character'
  | 'scheme_not_allowed'
  | 'user_info'
  | 'fragment'
  | 'port_not_allowed'
  | 'destination_not_allowed';

export type UrlVerdict = { ok: true; url: URL } | { ok: false; code: UrlFault; message: string };

const MAX_URL = 2_048;
const GLOBAL_UNICAST: Cidr = [ipaddr.IPv6.parse('2000::'), 3];
const AZURE_WIRE_SERVER = '168.63.129.16';
const MAX_NAME = 253;
const LABEL = /^[a-z0-9_-]{1,63}$/;

function refuse(code: UrlFault, message: string): UrlVerdict {
  return { ok: false, code, message };
}

/** Whether an endpoint may have this URL, by its text alone. The messages are for the tenant. */
export function checkUrl(text: string, policy: SsrfPolicy): UrlVerdict {
  if (text.length > MAX_URL) return refuse('too_long', `must be at most ${MAX_URL} characters`);
  // Before parsing: the WHATWG parser drops tabs and line breaks, trims, and turns backslashes into slashes.
  if (/\p{Cc}|%[01][0-9a-f]|%7f/iu.test(text))
    return refuse('control_character', 'must not hold control characters, encoded or not');
  if (/[\s\\]|\p{Surrogate}/u.test(text))
    return refuse('invalid_url', 'must not hold spaces, backslashes or broken characters');
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(text)?.[1]?.toLowerCase();
  if (scheme !== undefined && scheme !== 'https' && scheme !== 'http')
    return refuse('scheme_not_allowed', 'must begin with https://');
  const authority = /^https?:\/\/([^/?#]+)/i.exec(text)?.[1];
  const url = parseUrl(text);
  if (authority === undefined || !url)
    return refuse('invalid_url', 'must be a URL such as https://example.com/webhooks');
  // By the text too: the parser drops an empty user ("https://@host").
  if (authority.includes('@')) return refuse('user_info', 'must not hold a user name or password');
  // A fragment is never sent; a URL with a fragment was meant for a browser.
  if (text.includes('#')) return refuse('fragment', 'must not have a fragment (#…)');

  const port = url.port === '' ? undefined : Number(url.port);
  if (port !== undefined && port !== 443 && port !== 80 && port < 1_024) {
    return refuse('port_not_allowed', 'must use port 443, 80 or one above 1023');
  }
  // The parser has made one spelling of all: 0x7f.1, 2130706433, 017700000001, １２７。０。０。１ are 127.0.0.1 by now.
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const literal = isIP(host) !== 0;
  if (literal ? !isAllowedAddress(host, policy) : isLocalhost(host)) {
    const hint = !literal && isOpened('127.0.0.1', policy) ? ': write 127.0.0.1 in place of localhost' : '';
    return refuse('destination_not_allowed', `destination not allowed${hint}`);
  }
  if (!literal && !isHostName(host))
    return refuse('invalid_url', 'must have a valid host name, without a dot at its end');
  if (url.protocol === 'http:' && !(literal ? allowsHttpTo(host, policy) : allowsHttpByName(policy))) {
    return refuse('scheme_not_allowed', 'must begin with https://');
  }
  return { ok: true, url };
}

function isLocalhost(host: string): boolean {
  return /(^|\.)localhost\.*$/.test(host);
}

/** Names that DNS can hold as host names; the URL standard accepts more (`a..b`, `*`, `a,b`). */
function isHostName(host: string): boolean {
  return host.length <= MAX_NAME && host.split('.').every((label) => LABEL.test(label));
}

/** Whether a socket may open to this address. Any text that is not plainly an address is refused. */
export function isAllowedAddress(ip: string, policy: SsrfPolicy): boolean {
  const address = parseAddress(ip);
  if (!address) return false;
  return policy.allowCidrs.some((cidr) => contains(cidr, address)) || isPublic(address);
}

/** Whether plain http may be spoken to this address; asked at registration for a literal one, and at each dial. */
export function allowsHttpTo(ip: string, policy: SsrfPolicy): boolean {
  return policy.allowHttp || isOpened(ip, policy);
}

/**
 * Whether a name may be registered with http: it may resolve into an opened range, which only the dial can check.
 * Loopback does not count: a name is no way to it.
 */
function allowsHttpByName({ allowHttp, allowCidrs }: SsrfPolicy): boolean {
  return allowHttp || allowCidrs.some(([network]) => network.range() !== 'loopback');
}

/** Whether `allowCidrs` opens this address, and with it plain http. */
export function isOpened(ip: string, policy: SsrfPolicy): boolean {
  const address = parseAddress(ip);
  return address !== undefined && policy.allowCidrs.some((cidr) => contains(cidr, address));
}

function isPublic(address: Address): boolean {
  if (address.range() !== 'unicast') return false;
  if (address instanceof ipaddr.IPv4) return address.toString() !== AZURE_WIRE_SERVER;
  return contains(GLOBAL_UNICAST, address) && !isIsatap(address);
}

/** RFC 5214: the interface id is 0:5efe or 200:5efe and then an IPv4 address. */
function isIsatap({ parts }: ipaddr.IPv6): boolean {
  return parts[5] === 0x5efe && (parts[4] === 0 || parts[4] === 0x200);
}
