import type { CommanderError } from 'commander';
import { UsageError } from './lifecycle';

/** A fault that commander found in a command line, as one line that names the help to read. */
export function usageErrorOf(error: CommanderError, command: string): UsageError {
  const fault = error.code === 'commander.help' ? 'no command is named' : error.message.replace(/^error: /, '');
  return new UsageError(`${command}: ${fault.replace(/\s*\n/g, ' ').replace(/\.$/, '')}; see ${command} --help`);
}
