import { textOf } from './config';
import { schema } from './schema';
import { fileVariable } from './secret-file';
import type { Variable } from './variables';

/** A variable as an operator may see it. */
export interface DescribedVariable {
  name: string;
  /** The text, masked if it is secret; undefined if it is not set and has no default. */
  value?: string;
  source: 'environment' | 'file' | 'default' | 'not set';
}

const MASK = '***';

/** Every variable with its value and the source of the value. Secrets are masked. */
export function describeConfig(env: NodeJS.ProcessEnv): DescribedVariable[] {
  return (Object.entries(schema) as [string, Variable<unknown>][]).map(([name, variable]) => {
    const value = textOf(env, name, variable);
    return {
      name,
      value: value !== undefined && variable.secret ? masked(name, value) : value,
      source: sourceOf(env, name, variable),
    };
  });
}

function sourceOf(env: NodeJS.ProcessEnv, name: string, variable: Variable<unknown>): DescribedVariable['source'] {
  if (env[name]) return 'environment';
  if (variable.secret && env[fileVariable(name)]) return 'file';
  return variable.fallback === undefined ? 'not set' : 'default';
}

/** The mask of a secret: a URL without its password, and a placeholder for any other text. */
function masked(name: string, text: string): string {
  const [, scheme, credentials, place, query] = /^([a-z+]+:\/\/)(?:([^/?#]*)@)?([^?#@]*)(\?.*)?$/.exec(text) ?? [];
  if (!name.endsWith('_URL') || scheme === undefined) return MASK;
  const user = credentials === undefined ? '' : `${credentials.split(':')[0]}:${MASK}@`;
  return `${scheme}${user}${place}${query === undefined ? '' : `?${MASK}`}`;
}
