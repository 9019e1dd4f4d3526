/** The process `migrate`: brings the database to this build's schema, or prints the necessary changes. */
import { Argument, Command, CommanderError } from 'commander';
import { type Config, required } from '../../platform/config/config';
import { migrate, migrationStatus, planMigrations } from '../../platform/database/migrate/migrations';
import { FILLINGS, PLACEMENTS } from '../tables';
import { assertNoReservedTypes } from './reserved-event-types';
import { Inoperable } from '../lifecycle';
import { namingDatabase, ownerVariable } from '../name-database';
import { usageErrorOf } from '../usage-error';

const MORE = `
  plan     prints the pending migrations with their SQL; changes nothing
  apply    applies them, each in a transaction of its own, then updates the queue's tables, the roles and the service's
           login; this is the default
  verify   lists what is pending, or was applied by a newer release, and then ends with 1; changes nothing

All wait for a migration that is under way. They log in as MIGRATION_DATABASE_URL, the owner of the tables. Ends with 0; with
1 where not all is well; with 2 where the command line is wrong.`;

const COMMANDS = {
  async plan(config: Config): Promise<string> {
    const planned = await planMigrations(ownerUrl(config));
    if (planned.length === 0) return 'nothing to migrate\n';
    return planned
      .map(({ name, transaction, statements }) => {
        const heading = `-- ${name} (${transaction ? 'in one transaction' : 'in no transaction'})`;
        return [heading, ...statements.map((text) => (text.endsWith(';') ? text : `${text};`)), ''].join('\n\n');
      })
      .join('\n');
  },

  async apply(config: Config): Promise<string> {
    await assertNoReservedTypes(ownerUrl(config));
    const applied = await migrate({
      serviceUrl: required(config, 'DATABASE_URL'),
      signInUrl: config.SIGN_IN_DATABASE_URL,
      queueUrl: config.QUEUE_DATABASE_URL,
      migrationUrl: ownerUrl(config),
      statementTimeout: config.DB_STATEMENT_TIMEOUT,
      placements: PLACEMENTS,
      fillings: FILLINGS,
      onTableInUse: (attempt) =>
        process.stderr.write(`a table is in use; made way (attempt ${attempt}), trying again\n`),
    });
    return applied.length === 0 ? 'nothing to migrate\n' : `applied ${applied.join(', ')}\n`;
  },

  async verify(config: Config): Promise<string> {
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

/** Runs `migrate …`. @throws UsageError for a wrong command line; Inoperable when `verify` finds something */
export async function runMigrate(config: Config, args: string[]): Promise<void> {
  const program = new Command('migrate')
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
    .helpOption('-h, --help', 'prints this')
    .usage('[plan | apply | verify]')
    .addArgument(new Argument('[command]').choices(Object.keys(COMMANDS)).default('apply').argOptional())
    .addHelpText('after', MORE)
    .action(async (name: keyof typeof COMMANDS) => {
      const work = (): Promise<string> => COMMANDS[name](config);
      process.stdout.write(await namingDatabase(ownerVariable(config), ownerUrl(config), work, 'owner'));
    });
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.code !== 'commander.helpDisplayed') throw usageErrorOf(error, 'migrate');
  }
}
