import { schema } from './schema';
import { fileVariable, readSecretFile } from './secret-file';
import { misspeltVariables } from './unknown-variables';
import { insertPasswords } from './url-password';
import type { Variable } from './variables';

const DAY_MS = 86_400_000;

type Schema = typeof schema;
type ValueOf<V> = V extends { read(text: string): infer T } ? T : never;

type Values = {
  readonly [K in keyof Schema]: Schema[K] extends { fallback: string }
    ? ValueOf<Schema[K]>
    : ValueOf<Schema[K]> | undefined;
};

/**
 * The service's configuration, parsed once at boot. Variables with a default are always set. It is a class so that a
 * constructor's parameter of this type is its own injection token; the schema alone declares its members.
 */
export abstract class Config extends (Object as unknown as abstract new () => Values) {}

/** All faults of the environment, one line each; the process ends with them. */
export class ConfigError extends Error {
  constructor(readonly faults: string[]) {
    super(faults.map((fault) => `configuration: ${fault}`).join('\n'));
    this.name = 'ConfigError';
  }
}

/**
 * Reads and cross-checks the configuration. An empty variable counts as left out; a secret may come from a file.
 * @throws ConfigError that names every wrong variable
 */
export function loadConfig(env: NodeJS.ProcessEnv): Config {
  const faults: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, variable] of Object.entries(schema) as [string, Variable<unknown>][]) {
    try {
      const text = textOf(env, name, variable);
      if (text !== undefined) values[name] = variable.read(text);
    } catch (error) {
      faults.push(`${name} ${(error as Error).message}`);
    }
  }
  faults.push(...misspeltVariables(env), ...insertPasswords(values as Record<string, string>));
  const config = Object.assign(Object.create(Config.prototype) as Config, values);
  if (faults.length === 0) faults.push(...crossCheck(config));
  if (faults.length > 0) throw new ConfigError(faults);
  return config;
}

/** The text of a variable: its own, that of the file of a secret, or its default. @throws Error completing "NAME …" */
export function textOf(env: NodeJS.ProcessEnv, name: string, variable: Variable<unknown>): string | undefined {
  const file = variable.secret ? env[fileVariable(name)] : undefined;
  if (!file) return env[name] || variable.fallback;
  if (env[name]) throw new Error(`and ${fileVariable(name)} are both set: leave one out`);
  return readSecretFile(name, file);
}

/** URLs whose login has a name that `migrate` knows. */
const OWN_LOGINS = [
  ['SIGN_IN_DATABASE_URL', 'app_sign_in'],
  ['QUEUE_DATABASE_URL', 'app_queue'],
] as const;

function crossCheck(config: Config): string[] {
  const faults: string[] = [];
  if (config.SESSION_EXPIRE_DAYS < config.REFRESH_TOKEN_EXPIRE_DAYS) {
    faults.push('SESSION_EXPIRE_DAYS must not be shorter than REFRESH_TOKEN_EXPIRE_DAYS');
  }
  // A delivery must not outlive its event: the last retry comes after the whole schedule with its jitter.
  const retriesMs = config.WEBHOOK_RETRY_SCHEDULE.reduce((sum, wait) => sum + wait * 1.2, 0);
  if (config.WEBHOOK_RETENTION_DAYS * DAY_MS < retriesMs + DAY_MS) {
    faults.push('WEBHOOK_RETENTION_DAYS must be at least a day longer than WEBHOOK_RETRY_SCHEDULE');
  }
  if (typeof config.QUEUE_UI_PORT === 'number' && config.QUEUE_UI_PASSWORD === undefined) {
    faults.push('QUEUE_UI_PASSWORD is required where QUEUE_UI_PORT is set');
  }
  if (config.DATABASE_ROUTING === 'node' && config.DATABASE_REPLICA_URL !== undefined) {
    faults.push(
      'DATABASE_REPLICA_URL must be left out where DATABASE_ROUTING is node: no replica has the rows of all servers',
    );
  }
  if (config.DATABASE_ROUTING !== 'node' && config.DATABASE_NODE_ADDRESSES !== undefined) {
    faults.push('DATABASE_NODE_ADDRESSES needs DATABASE_ROUTING=node');
  }
  for (const [name, login] of OWN_LOGINS) {
    const url = config[name];
    if (url && new URL(url).username !== login) faults.push(`${name} must have the login ${login}`);
  }
  return faults;
}

/** Settings of the platform that are valid and probably not intended. */
export function platformWarnings(env: NodeJS.ProcessEnv): string[] {
  const protocol = env.OTEL_EXPORTER_OTLP_TRACES_PROTOCOL ?? env.OTEL_EXPORTER_OTLP_PROTOCOL;
  if (protocol !== undefined && protocol !== 'http/json') {
    return [`OTEL_EXPORTER_OTLP_PROTOCOL=${protocol} is ignored: traces are sent as http/json`];
  }
  return [];
}

/** The value of a variable that this process cannot do without. @throws ConfigError when it is not set. */
export function required<K extends keyof Config>(config: Config, name: K): NonNullable<Config[K]> {
  const value = config[name];
  if (value === undefined) throw new ConfigError([`${name} is required`]);
  return value as NonNullable<Config[K]>;
}
