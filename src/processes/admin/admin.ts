/** The role `admin`: one command of the operator, then the end. */
import { parseArgs } from 'node:util';
import type { INestApplicationContext } from '@nestjs/common';
import type { Command, Report } from './command';
import * as company from './company.command';
import { configCommand } from './config.command';
import { replayCommand, retryCommand } from './deliveries.command';
import * as audit from './audit.command';
import * as mail from './mail.command';
import * as keys from './keys.command';
import { pruneCommand } from './prune.command';
import { seedCommand } from './seed.command';
import * as tenants from './tenants.command';
import { type Config, required } from '../../platform/config/config';
import { UsageError } from '../lifecycle';

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
  'tenants relax': company.relaxCommand,
  'tenants delete': company.deleteCommand,
  'invitations link': company.linkCommand,
  'keys list': keys.listCommand,
  'keys new': keys.newCommand,
  'keys reseal': keys.resealCommand,
  'keys forget': keys.forgetCommand,
  retry: retryCommand,
  replay: replayCommand,
  prune: pruneCommand,
  seed: seedCommand,
};

const COMMON = {
  help: { type: 'boolean', short: 'h' },
  'dry-run': { type: 'boolean' },
  json: { type: 'boolean' },
} as const;
const COMMON_HELP = `  --dry-run      changes nothing, and says what would be done
  --json         prints one JSON object instead of text
  --help         prints this`;

/** What a command line of `admin` answers. */
export interface CommandResult {
  lines: readonly string[];
  /** Not all that was asked was done, or found. */
  failed: boolean;
}

/** Runs `admin …`; sets the process's exit code to 1 where not all was done. @throws UsageError */
export async function runAdmin(config: Config, args: string[]): Promise<void> {
  const { lines, failed } = await runCommand(config, args);
  for (const line of lines) process.stdout.write(`${line}\n`);
  if (failed) process.exitCode = 1;
}

/** The same without printing. @throws UsageError; AppError for what the command refuses */
export async function runCommand(config: Config, args: string[]): Promise<CommandResult> {
  const { name, command, rest } = find(args);
  if (!command) {
    if (args.length === 0 || rest.some((word) => word === '--help' || word === '-h')) return said(overview(name));
    throw new UsageError(`admin: there is no command '${args.slice(0, 2).join(' ')}'; see admin --help`);
  }
  const { values, positionals } = parse(name, command, rest);
  if (values.help) return said(helpOf(name, command));
  if (positionals.length !== (command.positionals ?? 0)) throw new UsageError(usageOf(name, command));
  const report = await inContext(config, (open) =>
    command.run({ config, values, positionals, dryRun: values['dry-run'] === true, open }),
  );
  return { lines: values.json ? [JSON.stringify(report.data)] : report.lines, failed: report.failed ?? false };
}

function said(text: string): CommandResult {
  return { lines: [text], failed: false };
}

/** The command that the first words name: two of them, or one. */
function find(args: string[]): { name: string; command?: Command; rest: string[] } {
  for (const words of [2, 1]) {
    const name = args.slice(0, words).join(' ');
    if (Object.hasOwn(COMMANDS, name)) return { name, command: COMMANDS[name], rest: args.slice(words) };
  }
  return { name: args.find((word) => !word.startsWith('-')) ?? '', rest: args };
}

function parse(name: string, command: Command, args: string[]) {
  try {
    return parseArgs({ args, options: { ...command.options, ...COMMON }, allowPositionals: true });
  } catch (error) {
    throw new UsageError(
      `admin ${name}: ${(error as Error).message.replace(/\. .*$/s, '')}; ${usageOf(name, command)}`,
    );
  }
}

/** Runs `work` with what connects when it is first asked to, and closes that. */
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
    // On stdout is what the command says, and nothing else.
    return createAdmin(config, createLogger({ LOG_LEVEL: 'warn' }, process.stderr));
  };
  try {
    return await work(() => (opening ??= open()));
  } finally {
    const app = await opening?.catch(() => undefined);
    await app?.close();
  }
}

function usageOf(name: string, { usage }: Command): string {
  return `usage: admin ${[name, usage, '[--dry-run] [--json]'].filter((part) => part !== '').join(' ')}`;
}

function helpOf(name: string, command: Command): string {
  return `${usageOf(name, command)}\n\n${command.help}\n\n${COMMON_HELP}`;
}

function overview(group: string): string {
  const lines = Object.entries(COMMANDS)
    .filter(([name]) => group === '' || name.startsWith(`${group} `))
    .map(([name, { help }]) => `  ${name.padEnd(18)} ${help.split(/(?<=[.:])\s/, 1)[0]}`.replace(/[.:]$/, ''));
  return [
    'usage: admin COMMAND … [--dry-run] [--json] [--help]',
    '',
    ...lines,
    '',
    'Needs DATABASE_URL and JWT_SECRET (and ENCRYPTION_KEYS) as api and worker have them, and for tenants and keys also',
    'MIGRATION_DATABASE_URL. Ends with 0; with 1 where not all was done; with 2 where the command line makes no sense.',
  ].join('\n');
}
