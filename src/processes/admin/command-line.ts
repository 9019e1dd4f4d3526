/** The command line of `admin`, by commander: which command it names, with its words; or a text of help. */
import { Command as Program, CommanderError } from 'commander';
import { usageErrorOf } from '../usage-error';
import type { Command, Invocation } from './command';

const NAME = 'admin';
const MORE = `
Needs DATABASE_URL and JWT_SECRET (and ENCRYPTION_KEYS) with the values of api and worker, and for tenants and keys also
MIGRATION_DATABASE_URL. Ends with 0; with 1 where not all was done; with 2 where the command line is wrong.`;

/** A command with the words of its command line, or a text to print instead. */
export type ParsedLine = { command: Command } & Pick<Invocation, 'values' | 'positionals'>;

/** Parses a command line. @throws UsageError whose message names the help to read */
export function commandLine(
  commands: Readonly<Record<string, Command>>,
  args: string[],
): ParsedLine | { help: string } {
  let help = '';
  let parsed: ParsedLine | undefined;
  const program = programOf(
    (text) => (help += text),
    commands,
    (found) => (parsed = found),
  );
  if (args.length === 0) return { help: program.helpInformation() + MORE };
  try {
    program.parse(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.code === 'commander.helpDisplayed') return { help: help.trimEnd() };
    const at = groupOf(program, args);
    throw usageErrorOf(error, at.parent ? `${NAME} ${pathOf(at)}` : NAME);
  }
  if (!parsed) throw new Error('commander ran no command');
  return parsed;
}

/** The program with its commands: the words of a name are the levels of subcommands. */
function programOf(
  print: (text: string) => void,
  commands: Readonly<Record<string, Command>>,
  run: (parsed: ParsedLine) => void,
): Program {
  const program = new Program(NAME)
    .exitOverride()
    .configureOutput({ writeOut: print, writeErr: () => undefined })
    .configureHelp({ visibleCommands: leavesOf, subcommandTerm: pathOf, helpWidth: 120 })
    .helpOption('-h, --help', 'prints this')
    .helpCommand(false)
    .usage('COMMAND … [options]')
    .addHelpText('after', MORE);
  for (const [name, command] of Object.entries(commands)) {
    const words = name.split(' ');
    const last = words.pop() as string;
    let parent = program;
    for (const word of words) {
      parent =
        parent.commands.find((group) => group.name() === word) ?? parent.command(word).usage('COMMAND … [options]');
    }
    addCommand(parent.command(last), command, run);
  }
  return program;
}

function addCommand(program: Program, command: Command, run: (parsed: ParsedLine) => void): void {
  const { summary, description, requiredOptions = {}, options = {} } = command;
  program.summary(summary).description([`${summary}.`, ...(description ? [unwrapped(description)] : [])].join('\n\n'));
  if (command.arguments) program.arguments(command.arguments);
  for (const [flags, text] of Object.entries(requiredOptions)) program.requiredOption(flags, `${text} (required)`);
  for (const [flags, text] of Object.entries(options)) program.option(flags, text);
  program
    .option('--dry-run', 'changes nothing, and prints the changes that it would make')
    .option('--json', 'prints one JSON object instead of text')
    .action(() => run({ command, values: program.opts(), positionals: program.args }));
}

/** Every command below this one, so that one list shows all of them. */
function leavesOf(this: void, program: Program): Program[] {
  return program.commands.flatMap((one) => (one.commands.length > 0 ? leavesOf(one) : [one]));
}

/** The words of a command without the program's name. */
function pathOf(this: void, program: Program): string {
  const { parent } = program;
  return parent?.parent ? `${pathOf(parent)} ${program.name()}` : program.name();
}

/** The deepest command that the first words name. */
function groupOf(program: Program, args: readonly string[]): Program {
  const found = program.commands.find((one) => one.name() === args[0]);
  return found ? groupOf(found, args.slice(1)) : program;
}

/** A text with one line a paragraph, which commander wraps to the terminal. */
function unwrapped(text: string): string {
  return text.replace(/(?<!\n)\n(?!\n)/g, ' ');
}
