/**
 * Resolves names to addresses, so that one tenant's slow name server does not delay the deliveries of others.
 *
 * `dns.lookup` uses the operating system on libuv's thread pool, which runs at most two lookups at a time: two names
 * whose servers never reply would block all others. So DNS is queried first, without threads (c-ares). Only names that
 * DNS does not have are then resolved by the system, for the hosts file and search domains. A query without a reply is
 * not repeated there: it would hang again.
 *
 * No result is cached or trusted: the caller checks every address and dials a checked one.
 */
import { lookup as systemLookup, Resolver } from 'node:dns/promises';

/** All addresses of a name, in the order in which to try them. Rejects, or resolves to none, for a name without any. */
export type Resolve = (hostname: string) => Promise<readonly string[]>;

export interface ResolverOptions {
  /** `127.0.0.1:53`, for tests; the system's configuration if left out. */
  servers?: readonly string[];
  /** Milliseconds for the first try; c-ares takes longer for the following ones. */
  timeout?: number;
  tries?: number;
  lookup?: Resolve;
}

const UNKNOWN_TO_DNS = new Set(['ENOTFOUND', 'ENODATA', 'ECONNREFUSED']);

const lookupBySystem: Resolve = async (hostname) =>
  (await systemLookup(hostname, { all: true })).map(({ address }) => address);

export function createResolver({
  servers,
  timeout = 2_000,
  tries = 2,
  lookup = lookupBySystem,
}: ResolverOptions = {}): Resolve {
  const dns = new Resolver({ timeout, tries });
  if (servers) dns.setServers(servers);
  const running = new Map<string, Promise<readonly string[]>>();

  async function ask(hostname: string): Promise<readonly string[]> {
    const responses = await Promise.allSettled([dns.resolve4(hostname), dns.resolve6(hostname)]);
    const addresses = responses.flatMap((response) => (response.status === 'fulfilled' ? response.value : []));
    if (addresses.length > 0) return addresses;
    const errors = responses.flatMap((response) =>
      response.status === 'rejected' ? [response.reason as NodeJS.ErrnoException] : [],
    );
    const hopeless = errors.find(({ code }) => !UNKNOWN_TO_DNS.has(code ?? ''));
    if (hopeless) throw hopeless;
    return lookup(hostname);
  }

  // Concurrent deliveries to one new host share one query.
  return (hostname) => {
    let response = running.get(hostname);
    if (!response) {
      response = ask(hostname).finally(() => running.delete(hostname));
      running.set(hostname, response);
    }
    return response;
  };
}
