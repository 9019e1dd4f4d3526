import type { DataSource } from 'typeorm';
import { PLANS_ANEW, PROPAGATES_SETTINGS } from '../sql/citus';
import { sessionSettings } from '../sql/session-settings';
import { IDLE_IN_TRANSACTION_TIMEOUT_MS, lockTimeout } from '../sql/timeouts';
import type { Setting } from './transaction-settings';

/**
 * The settings that each transaction must make because the session differs: none if `migrate` has configured the login.
 * This also works behind a pooler, whose sessions the service must not change.
 * @param isOnCitus whether Citus is installed: then these settings also reach the servers that have the rows
 */
export async function sessionCorrections(dataSource: DataSource, isOnCitus: boolean): Promise<Setting[]> {
  const wanted = isOnCitus ? [PROPAGATES_SETTINGS, PLANS_ANEW, ...sessionSettings()] : sessionSettings();
  const rows = await dataSource.query<{ name: string; value: string | null }[]>(
    'select name, current_setting(name, true) as value from unnest($1::text[]) as name',
    [wanted.map(([name]) => name)],
  );
  const current = new Map(rows.map(({ name, value }) => [name, value]));
  return wanted.filter(([name, value]) => current.get(name) !== value);
}

/** The settings that `migrate` makes for the service's own login, for another login. */
export function timeoutSettings(statementTimeout: number): Setting[] {
  return [
    ['statement_timeout', String(statementTimeout)],
    ['lock_timeout', String(lockTimeout(statementTimeout))],
    ['idle_in_transaction_session_timeout', String(IDLE_IN_TRANSACTION_TIMEOUT_MS)],
  ];
}
