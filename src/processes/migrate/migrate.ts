/** The role `migrate`: brings the database to this build's schema, or says what that would do. */
import { parseArgs } from 'node:util';
import { type Config, required } from '../../platform/config/config';
import { migrate, migrationStatus, planMigrations } from '../../platform/database/migrate/migrations';
import { PLACEMENTS } from '../tables';
import { Inoperable, UsageError } from '../lifecycle';
import { namingDatabase, ownerVariable } from '../name-database';

const USAGE = `usage: migrate [plan | apply | verify]

  plan     prints what is pending, with its SQL; changes nothing
  apply    applies it, each migration in a transaction of its own, and sees to the queue's own tables, the roles
           and the service's login (this is what is done when nothing is said)
  verify   ends with 1 and says what is pending, or was applied by a newer release; changes nothing

All wait for a migration that is under way. They log in as MIGRATION_DATABASE_URL, the owner of the tables.
`;

const COMMANDS: Readonly<Record<string, (config: Config) => Promise<string>>> = {
  async plan(config) {
    const planned = await planMigrations(ownerUrl(config));
    if (planned.length === 0) return 'nothing to migrate\n';
    return planned
      .map(({ name, transaction, statements }) => {
        const heading = `-- ${name} (${transaction ? 'in one transaction' : 'in no transaction'})`;
        return [heading, ...statements.map((text) => (text.endsWith(';') ? text : `${text};`)), ''].join('\n\n');
      })
      .join('\n');
  },

  async apply(config) {
    const applied = await migrate({
      serviceUrl: required(config, 'DATABASE_URL'),
      migrationUrl: ownerUrl(config),
      statementTimeout: config.DB_STATEMENT_TIMEOUT,
      placements: PLACEMENTS,
      onTableInUse: (attempt) =>
        process.stderr.write(`a table is in use; made way (attempt ${attempt}), trying again\n`),
    });
    return applied.length === 0 ? 'nothing to migrate\n' : `applied ${applied.join(', ')}\n`;
  },

  async verify(config) {
    const { pending, unknown, invalid } = await migrationStatus(ownerUrl(config));
    const faults = [
      ...pending.map((name) => `pending: ${name}`),
      ...unknown.map((name) => `unknown to this build: ${name}`),
      ...invalid,
    ];
    if (faults.length > 0) throw new Inoperable(faults.join('\n'));
    return 'the database is at the schema of this build\n';
  },
};

function ownerUrl(config: Config): string {
  return config.MIGRATION_DATABASE_URL ?? config.DIRECT_DATABASE_URL ?? required(config, 'DATABASE_URL');
}

/** Runs `migrate …`. @throws UsageError for arguments that make no sense; Inoperable when `verify` finds something */
export async function runMigrate(config: Config, args: string[]): Promise<void> {
  const { values, positionals } = parseMigrateArgs(args);
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  const [name = 'apply', ...others] = positionals;
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!command || others.length > 0) throw new UsageError(`migrate ${positionals.join(' ')}: see migrate --help`);
  const work = (): Promise<string> => command(config);
  process.stdout.write(await namingDatabase(ownerVariable(config), ownerUrl(config), work, 'owner'));
}

function parseMigrateArgs(args: string[]) {
  try {
    return parseArgs({ args, options: { help: { type: 'boolean', short: 'h' } }, allowPositionals: true });
  } catch (error) {
    throw new UsageError(`migrate: ${(error as Error).message}`);
  }
}
