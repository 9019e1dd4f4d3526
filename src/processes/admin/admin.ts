/** The process `admin`: runs one command of the operator, then ends. */
import type { INestApplicationContext } from '@nestjs/common';
import type { Command, Report } from './command';
import { commandLine } from './command-line';
import * as apiKeys from './api-keys.command';
import * as company from './company.command';
import * as citus from './citus.command';
import { configCommand } from './config.command';
import { replayCommand, retryCommand } from './deliveries.command';
import * as audit from './audit.command';
import * as mail from './mail.command';
import * as keys from './keys.command';
import { pruneCommand } from './prune.command';
import { seedCommand } from './seed.command';
import * as shards from './shards.command';
import * as tenants from './tenants.command';
import * as users from './users.command';
import { type Config, required } from '../../platform/config/config';
import { namingDatabase } from '../name-database';

const COMMANDS: Readonly<Record<string, Command>> = {
  config: configCommand,
  'mail test': mail.testCommand,
  'mail allow': mail.allowCommand,
  'audit verify': audit.verifyCommand,
  'tenants list': tenants.listCommand,
  'tenants show': tenants.showCommand,
  'tenants suspend': tenants.suspendCommand,
  'tenants resume': tenants.resumeCommand,
  'tenants create': company.createCommand,
  'tenants set-owner': company.setOwnerCommand,
  'tenants relax': company.relaxCommand,
  'tenants delete': company.deleteCommand,
  'invitations link': company.linkCommand,
  'users list': users.listCommand,
  'users reset-link': users.resetLinkCommand,
  'users reset-second-factor': users.resetSecondFactorCommand,
  'api-keys list': apiKeys.listCommand,
  'api-keys revoke': apiKeys.revokeCommand,
  'encryption-keys list': keys.listCommand,
  'encryption-keys new': keys.newCommand,
  'encryption-keys reencrypt': keys.reencryptCommand,
  'encryption-keys forget': keys.forgetCommand,
  'shards set': shards.setCommand,
  'citus move': citus.moveCommand,
  'citus isolate': citus.isolateCommand,
  'citus rebalance': citus.rebalanceCommand,
  retry: retryCommand,
  replay: replayCommand,
  prune: pruneCommand,
  seed: seedCommand,
};

/** The response of a command line of `admin`. */
export interface CommandResult {
  lines: readonly string[];
  /** A part of the request was not done, or not found. */
  failed: boolean;
}

/** Runs `admin …`; sets the process's exit code to 1 if a part failed. @throws UsageError */
export async function runAdmin(config: Config, args: string[]): Promise<void> {
  const { lines, failed } = await runCommand(config, args);
  for (const line of lines) process.stdout.write(`${line}\n`);
  if (failed) process.exitCode = 1;
}

/** The same without printing. @throws UsageError; AppError for a refusal of the command */
export async function runCommand(config: Config, args: string[]): Promise<CommandResult> {
  const parsed = commandLine(COMMANDS, args);
  if ('help' in parsed) return { lines: [parsed.help], failed: false };
  const { command, values, positionals } = parsed;
  const report = await inContext(config, (open) =>
    command.run({ config, values, positionals, dryRun: values.dryRun === true, open }),
  );
  return { lines: values.json ? [JSON.stringify(report.data)] : report.lines, failed: report.failed ?? false };
}

/** Runs `work` with connections that open at their first use, and closes them. */
async function inContext(
  config: Config,
  work: (open: () => Promise<INestApplicationContext>) => Promise<Report>,
): Promise<Report> {
  let opening: Promise<INestApplicationContext> | undefined;
  const open = async (): Promise<INestApplicationContext> => {
    required(config, 'DATABASE_URL');
    required(config, 'JWT_SECRET');
    const [{ createAdmin }, { createLogger }] = await Promise.all([
      import('./admin.module.js'),
      import('../../platform/observability/logger.js'),
    ]);
    // Stdout contains only the output of the command.
    const logger = createLogger({ LOG_LEVEL: 'warn' }, process.stderr);
    return namingDatabase('DATABASE_URL', required(config, 'DATABASE_URL'), () => createAdmin(config, logger));
  };
  try {
    return await work(() => (opening ??= open()));
  } finally {
    const app = await opening?.catch(() => undefined);
    await app?.close();
  }
}
