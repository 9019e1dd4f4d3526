/** The statements that compare encryption keys with the values that they have encrypted. */
import type { Statement } from '../database/sql/statement';
import type { SampledColumn } from './sampled-column';

/** The rows of a table that are searched for a key: no index finds the values of one key. */
const SAMPLED_ROWS = 1_000;

export function recordedKeys(): Statement {
  return { name: 'encryption_keys_list', text: 'select kid, encrypted from encryption_keys', values: [] };
}

export function recordKey(kid: string, encrypted: string, at: Date): Statement {
  return {
    name: 'encryption_key_record',
    text: 'insert into encryption_keys (kid, encrypted, created_at) values ($1, $2, $3) on conflict (kid) do nothing',
    values: [kid, encrypted, at],
  };
}

/** Records a key again: earlier values of this id no longer count. */
export function replaceKey(kid: string, encrypted: string, at: Date): Statement {
  return {
    name: 'encryption_key_replace',
    text: `insert into encryption_keys (kid, encrypted, created_at) values ($1, $2, $3)
           on conflict (kid) do update set encrypted = excluded.encrypted, created_at = excluded.created_at`,
    values: [kid, encrypted, at],
  };
}

/** Removes keys. */
export function removeKeys(kids: readonly string[]): Statement {
  return {
    name: 'encryption_keys_remove',
    text: 'delete from encryption_keys where kid = any($1::text[])',
    values: [kids],
  };
}

/** One value that a key has encrypted. */
export function sampleOf({ table, key, column }: SampledColumn, kid: string): Statement {
  const columns = key.map((name) => `${name}::text`).join(', ');
  return {
    name: `encryption_key_sample_${table}`,
    text: `select array[${columns}] as key, encrypted
             from (select ${key.join(', ')}, ${column} as encrypted from ${table} limit ${SAMPLED_ROWS}) sampled
            where split_part(encrypted, '.', 2) = $1 limit 1`,
    values: [kid],
  };
}
