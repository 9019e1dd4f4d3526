import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/** A statement as the service sends it on a database that says it has Citus (`npm run record:citus`). */
export interface CitusStatement {
  /** Empty without one. */
  name: string;
  text: string;
}

/** `test/golden/citus-exceptions.json`: reasons by names, of which one may end with `*`. */
export interface CitusExceptions {
  /** Statements that no suite of the recording sends. */
  unrecorded: Record<string, string>;
  /** Statements that visit the shards of several tenants; one without a name by a part of its text. */
  severalShards: Record<string, string>;
}

/** The recorded statements, and those whose text the source has as it is. */
export function statementsOnCitus(): CitusStatement[] {
  const script = join(__dirname, '..', '..', 'scripts', 'record-citus-statements.mjs');
  const list = execFileSync(process.execPath, [script, '--list'], { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  return JSON.parse(list) as CitusStatement[];
}

/** The entry of a list for a statement. */
export function reasonFor(
  list: Record<string, string>,
  name: string,
  text: string,
): { key: string; reason: string } | undefined {
  for (const [key, reason] of Object.entries(list)) {
    const fits = key.endsWith('*') ? name !== '' && name.startsWith(key.slice(0, -1)) : name === key;
    if (fits || (name === '' && text.includes(key))) return { key, reason };
  }
  return undefined;
}
