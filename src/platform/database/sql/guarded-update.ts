import { sqlState } from './errors';

const INVALID_TEXT_REPRESENTATION = '22P02';
const CHANGED_MEANWHILE = 'the row has changed meanwhile';

/**
 * A statement that updates one row if it still is as the condition says and nothing else holds its lock, and fails
 * otherwise, which rolls back all that is sent with it. It does not wait for a lock: on a shared connection, others
 * would wait with it.
 * @param condition finds the row by its key and by the version that was read
 */
export function guardedUpdate(table: string, assignments: string, key: string, condition: string): string {
  return `with unchanged as (
            select from ${table} where ${key} and ${condition} for no key update skip locked
          ), changed as (
            update ${table} set ${assignments} where ${key} and exists (select from unchanged) returning 1
          )
          select cast(case count(*) when 1 then '1' else '${CHANGED_MEANWHILE}' end as integer) from changed`;
}

/** Whether a transaction was rolled back because the row of a {@link guardedUpdate} has changed or was locked. */
export function hasChangedMeanwhile(error: unknown): boolean {
  return sqlState(error) === INVALID_TEXT_REPRESENTATION && String(error).includes(CHANGED_MEANWHILE);
}
