import { settingLiteral } from '../sql/session-settings';
import type { Statement } from '../sql/statement';

/** A run-time setting for the length of one transaction, such as `app.tenant_id`. */
export type Setting = readonly [name: string, value: string];

/** The settings at the start of a transaction: role, tenant, read-only. */
export interface TransactionSettings {
  readonly settings: readonly Setting[];
  /** The cached forms of {@link settingsStatement} and of a pipelined transaction. */
  statement?: Statement;
  bound?: Buffer;
}

export const READ_ONLY: Setting = ['transaction_read_only', 'on'];

/** Whether the service itself made the transaction read-only. */
export function isReadOnly({ settings }: TransactionSettings): boolean {
  return settings.includes(READ_ONLY);
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** A setting that holds an id. Strict, since `SET LOCAL` takes no parameters and contains the id as a literal. */
export function idSetting(name: 'app.tenant_id' | 'app.user_id', id: string): Setting {
  if (!UUID.test(id)) throw new Error('not a lower-case UUID');
  return [name, id];
}

/** The settings as one simple query, which begins a transaction that holds its connection. */
export function beginText({ settings }: TransactionSettings): string {
  const others = settings.filter((setting) => setting !== READ_ONLY);
  const begin = others.length < settings.length ? 'BEGIN READ ONLY' : 'BEGIN';
  return [begin, ...others.map(([name, value]) => `SET LOCAL ${name}=${settingLiteral(value)}`)].join(';');
}

const textByCount: string[] = [];

/** The settings as one prepared statement, for an implicit transaction. */
export function settingsStatement(txSettings: TransactionSettings): Statement {
  return (txSettings.statement ??= newSettingsStatement(txSettings));
}

function newSettingsStatement({ settings }: TransactionSettings): Statement {
  const text = (textByCount[settings.length] ??= `select ${settings
    .map((_, i) => `set_config($${2 * i + 1}, $${2 * i + 2}, true)`)
    .join(', ')}`);
  return { name: `settings_${settings.length}`, text, values: settings.flat() };
}
