import { STARTUP_SETTINGS } from './service-client';

/**
 * The session settings that the parsing of results and the names in statements rely on, whatever the settings of the
 * database or the login. `pg_temp` is last, since otherwise a temporary table hides the table of the same name.
 */
const SESSION_SETTINGS: Readonly<Record<string, string>> = {
  ...STARTUP_SETTINGS,
  IntervalStyle: 'postgres',
  bytea_output: 'hex',
  extra_float_digits: '1',
  search_path: 'public, pg_temp',
  array_nulls: 'on',
  backslash_quote: 'safe_encoding',
  xmlbinary: 'base64',
};

/** The session settings of the service, by name. */
export function sessionSettings(): (readonly [name: string, value: string])[] {
  return Object.entries(SESSION_SETTINGS);
}

/** A setting's value as `SET` takes it: a list, such as `search_path`, is one literal for each of its items there. */
export function settingLiteral(value: string): string {
  return value
    .split(', ')
    .map((item) => `'${item}'`)
    .join(',');
}
