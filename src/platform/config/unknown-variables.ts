/**
 * Misspelt variables. A typo such as `DATABSE_URL` would otherwise pass without notice, and the service would run with
 * a default. A name counts as misspelt if it is similar to a known one, or begins with a prefix of this service alone.
 */
import { schema } from './schema';
import { fileVariable } from './secret-file';

/** Prefixes of this service. Common ones, such as `DB_` or `REDIS_`, belong to many programs. */
const OWN_PREFIXES = [
  'ACCESS_TOKEN_',
  'AUDIT_RETENTION_',
  'DATABASE_REPLICA_',
  'DB_LIST_',
  'DB_POOL_',
  'ENCRYPTION_',
  'JWT_',
  'MIGRATION_DATABASE_',
  'QUEUE_UI_',
  'RATE_LIMIT_',
  'REFRESH_TOKEN_',
  'REQUEST_BODIES_',
  'SESSION_EXPIRE_',
  'SHED_',
  'SHUTDOWN_',
  'WEBHOOK_',
];
/** Variables that Kubernetes sets for each Service of the namespace. */
const SERVICE_LINK = /_(SERVICE_(HOST|PORT)|PORT)(_|$)/;
const NODE_ENVIRONMENTS = ['production', 'development', 'test'];
/** Shorter names are close to too many others. */
const SHORTEST = 7;
const MAX_EDITS = 2;

/** One sentence for each variable of the environment that looks misspelt. */
export function misspeltVariables(env: NodeJS.ProcessEnv): string[] {
  const known = new Set(
    Object.entries(schema).flatMap(([name, { secret }]) => (secret ? [name, fileVariable(name)] : [name])),
  );
  const faults: string[] = [];
  for (const [name, value] of Object.entries(env)) {
    if (!value || known.has(name) || SERVICE_LINK.test(name)) continue;
    const closest = closestOf(name, known);
    if (closest) faults.push(`unknown ${name}; did you mean ${closest}?`);
    else if (OWN_PREFIXES.some((prefix) => name.startsWith(prefix))) {
      const meant = longestBeginning(name, known);
      faults.push(`unknown ${name}; ${meant ? `did you mean ${meant}?` : 'remove it'}`);
    }
  }
  const nodeEnv = env.NODE_ENV ?? '';
  const environment = NODE_ENVIRONMENTS.find((candidate) => isClose(nodeEnv, candidate));
  if (environment && environment !== nodeEnv) faults.push(`NODE_ENV is ${nodeEnv}; did you mean ${environment}?`);
  return faults;
}

/** The known name that begins a name, or begins with it: `WEBHOOK_TIMEOUT` for `WEBHOOK_TIMEOUT_SECONDS`. */
function longestBeginning(name: string, known: ReadonlySet<string>): string | undefined {
  const related = [...known].filter((candidate) => name.startsWith(candidate) || candidate.startsWith(name));
  return related.sort((a, b) => b.length - a.length)[0];
}

function closestOf(name: string, known: ReadonlySet<string>): string | undefined {
  for (const candidate of known) if (isClose(name, candidate)) return candidate;
  return undefined;
}

function isClose(name: string, candidate: string): boolean {
  return name.length >= SHORTEST && candidate.length >= SHORTEST && edits(name, candidate) <= MAX_EDITS;
}

/**
 * Edits between two texts: insertions, deletions, substitutions, and swaps of neighbours (optimal string alignment).
 */
function edits(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > MAX_EDITS) return MAX_EDITS + 1;
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  const at = (i: number, j: number): number => rows[i]?.[j] ?? Infinity;
  for (let i = 1; i <= a.length; i++) {
    rows.push([i]);
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const least = Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + (same ? 0 : 1));
      (rows[i] as number[]).push(swapped ? Math.min(least, at(i - 2, j - 2) + 1) : least);
    }
  }
  return at(a.length, b.length);
}
