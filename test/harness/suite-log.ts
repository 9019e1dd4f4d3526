/**
 * The logs of the services of a whole run, and the secrets that they got: the starter of a service, or a request to
 * one, writes them to files, and the end of the run compares them (`global-teardown.ts`).
 */
import { appendFileSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Fields of bodies whose values only the caller may read. */
const SECRET_FIELDS = new Set([
  'password',
  'current_password',
  'new_password',
  'access_token',
  'refresh_token',
  'token',
  'challenge',
  'secret',
  'otpauth_uri',
  'recovery_code',
  'recovery_codes',
  'signature',
]);
/** An API key, wherever it stands. */
const API_KEY = /^osa_[0-9A-Za-z]{22}_[0-9A-Za-z]{49}$/;
/** A shorter text is a word of a test about bad input, and may occur anywhere. */
const MIN_LENGTH = 16;
const RUNS = /[A-Za-z0-9_-]+/g;

const seen = new Set<string>();

/** Keeps lines of a service's log. */
export function keepLog(lines: string): void {
  append('log', lines);
}

/** Records the secrets of a request or a response. */
export function keepSecretsOf(body: unknown): void {
  if (typeof body !== 'object' || body === null || ArrayBuffer.isView(body)) return;
  for (const [name, value] of Object.entries(body)) {
    if (typeof value === 'string' && (SECRET_FIELDS.has(name) || API_KEY.test(value))) keepSecret(value);
    else if (Array.isArray(value) && SECRET_FIELDS.has(name)) value.filter(isText).forEach(keepSecret);
    else if (typeof value === 'object') keepSecretsOf(value);
  }
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

/** The secrets of this process so far. */
export function secretsSeen(): readonly string[] {
  return [...seen];
}

/** Keeps a secret, once. */
export function keepSecret(secret: string): void {
  if (secret.length < MIN_LENGTH || seen.has(secret)) return;
  seen.add(secret);
  append('secrets', JSON.stringify(secret));
}

/** The folder of the run's files, and the amount of searched text. */
export interface SuiteLog {
  lines: number;
  secrets: number;
  /** Secrets with an identifying part in the log. */
  found: string[];
}

/**
 * Searches all logs for all secrets: for a secret's longest run of letters and digits, which survives in any text; for
 * a secret without a long run, for all of it.
 */
export function searchSuiteLog(dir: string): SuiteLog {
  const read = (kind: string): string =>
    readdirSync(dir)
      .filter((name) => name.startsWith(kind))
      .map((name) => readFileSync(join(dir, name), 'utf8'))
      .join('');
  const log = read('log');
  const logged = new Set(log.match(RUNS)?.filter((run) => run.length >= MIN_LENGTH));
  const secrets = new Set(
    read('secrets')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as string),
  );
  const found = [...secrets].filter((secret) => {
    const runs = (secret.match(RUNS) ?? []).sort((a, b) => b.length - a.length);
    const [longest = ''] = runs;
    return longest.length >= MIN_LENGTH ? logged.has(longest) : log.includes(secret);
  });
  return { lines: log.split('\n').length - 1, secrets: secrets.size, found };
}

function append(kind: string, text: string): void {
  const dir = process.env.TEST_LOG_DIR;
  if (dir && text !== '') appendFileSync(join(dir, `${kind}-${process.pid}`), text.endsWith('\n') ? text : `${text}\n`);
}
