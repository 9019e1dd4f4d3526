/** The parsed `REDIS_URL`. */
export interface RedisAddress {
  kind: 'single' | 'sentinel' | 'cluster';
  /** The server; the sentinels; or some nodes of the cluster, from which the others are discovered. */
  nodes: { host: string; port: number }[];
  /** The master's name in the sentinels. */
  master?: string;
  db: number;
  username?: string;
  password?: string;
  sentinelPassword?: string;
  tls: boolean;
  /** The file with the authorities that may have signed the server's certificate. */
  caFile?: string;
}

const PATTERN = /^(rediss?)(?:\+(sentinel|cluster))?:\/\/(?:([^/]*)@)?([^@/?#]+)(?:\/([^?#]*))?(?:\?([^#]*))?$/;
const DEFAULT_PORT = { single: 6379, cluster: 6379, sentinel: 26379 };
const RULE = 'must be redis[s]://host, redis[s]+sentinel://host,host/master or redis[s]+cluster://host,host';

/**
 * Parses `redis[s]://[user:password@]host[:port][/db]`, `redis[s]+sentinel://[user:password@]host[:port],…/master[/db]`
 * (`?sentinel_password=` for a separate password of the sentinels), `?cacert=FILE` with `rediss`, or
 * `redis[s]+cluster://[user:password@]host[:port],…`.
 * @throws Error whose message completes "REDIS_URL …" and repeats no part of the text, which may contain a password
 */
export function parseRedisUrl(text: string): RedisAddress {
  const match = PATTERN.exec(text);
  if (!match) throw new Error(RULE);
  const [, scheme, form, login = '', hosts = '', path = '', query = ''] = match;
  const kind = (form ?? 'single') as RedisAddress['kind'];
  const nodes = hosts.split(',').map((host) => parseNode(host, DEFAULT_PORT[kind]));
  if (kind === 'single' && nodes.length > 1) throw new Error(`${RULE}; it has several hosts`);
  const segments = path === '' ? [] : path.split('/');
  const master = kind === 'sentinel' ? decode(segments.shift() ?? '') : undefined;
  if (master === '') throw new Error(`${RULE}; it does not name the master`);
  const [database = '0', ...rest] = segments;
  if (!/^\d{1,5}$/.test(database) || rest.length > 0) throw new Error(`${RULE}; its path is wrong`);
  if (kind === 'cluster' && database !== '0') throw new Error(`${RULE}; a cluster has no database but 0`);
  const parameters = new URLSearchParams(query);
  const sentinelPassword = kind === 'sentinel' ? (parameters.get('sentinel_password') ?? undefined) : undefined;
  const caFile = scheme === 'rediss' ? (parameters.get('cacert') ?? undefined) : undefined;
  if (parameters.size > [sentinelPassword, caFile].filter((value) => value !== undefined).length) {
    throw new Error(`${RULE}; its query is not known`);
  }
  const colon = login.indexOf(':');
  return {
    kind,
    nodes,
    master,
    db: Number(database),
    username: decode(colon < 0 ? login : login.slice(0, colon)) || undefined,
    password: colon < 0 ? undefined : decode(login.slice(colon + 1)) || undefined,
    sentinelPassword,
    tls: scheme === 'rediss',
    caFile,
  };
}

function parseNode(text: string, defaultPort: number): { host: string; port: number } {
  const match = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?$/.exec(text.trim());
  const port = Number(match?.[2] ?? defaultPort);
  if (!match?.[1] || port < 1 || port > 65_535) throw new Error(`${RULE}; one of its hosts is none`);
  return { host: match[1].replace(/^\[|\]$/g, ''), port };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Error(`${RULE}; it has a % that encodes nothing`);
  }
}
