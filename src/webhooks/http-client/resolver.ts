/**
 * Names to addresses, without letting one tenant's slow name server hold up another's deliveries.
 *
 * `dns.lookup` alone asks the operating system on libuv's thread pool, which runs at most two lookups at a time: two
 * names whose servers never answer would stop all of them. So DNS itself is asked first, without threads (c-ares).
 * Names that DNS says it does not know, and only these, are then asked of the system: the hosts file and search domains
 * of one's own network. An unanswered query is not: it would only hang there again.
 *
 * Nothing is cached here, and nothing is trusted: the caller checks every answer and dials one that it checked.
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
    const answers = await Promise.allSettled([dns.resolve4(hostname), dns.resolve6(hostname)]);
    const addresses = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
    if (addresses.length > 0) return addresses;
    const errors = answers.flatMap((answer) =>
      answer.status === 'rejected' ? [answer.reason as NodeJS.ErrnoException] : [],
    );
    const hopeless = errors.find(({ code }) => !UNKNOWN_TO_DNS.has(code ?? ''));
    if (hopeless) throw hopeless;
    return lookup(hostname);
  }

  // Fifty deliveries to one new host are one question.
  return (hostname) => {
    let answer = running.get(hostname);
    if (!answer) {
      answer = ask(hostname).finally(() => running.delete(hostname));
      running.set(hostname, answer);
    }
    return answer;
  };
}
