import { textOf } from './config';
import { schema } from './schema';
import { fileVariable } from './secret-file';
import type { Variable } from './variables';

/** A variable as an operator may see it. */
export interface DescribedVariable {
  name: string;
  /** Its text, masked where it is secret; undefined where it is not set and has no default. */
  value?: string;
  source: 'environment' | 'file' | 'default' | 'not set';
}

const MASK = '***';

/** Every variable with its value and where that comes from. What is secret is not in it. */
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

/** Of a URL, who connects where is left; of anything else, whatever it looks like, that there is something. */
function masked(name: string, text: string): string {
  const [, scheme, credentials, place, query] = /^([a-z+]+:\/\/)(?:([^/?#]*)@)?([^?#@]*)(\?.*)?$/.exec(text) ?? [];
  if (!name.endsWith('_URL') || scheme === undefined) return MASK;
  const user = credentials === undefined ? '' : `${credentials.split(':')[0]}:${MASK}@`;
  return `${scheme}${user}${place}${query === undefined ? '' : `?${MASK}`}`;
}
