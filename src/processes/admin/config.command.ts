import { describeConfig } from '../../platform/config/describe';
import type { Command } from './command';

export const configCommand: Command = {
  summary: 'Prints every variable as this process reads it, with the source of its value',
  description: 'Secrets are masked; of URLs, the user and the host are shown. Connects to nothing.',
  run() {
    const variables = describeConfig(process.env);
    return Promise.resolve({
      lines: variables.map(({ name, value, source }) => `${name}=${value ?? ''}  (${source})`),
      data: { variables: variables.map(({ value, ...rest }) => ({ ...rest, value: value ?? null })) },
    });
  },
};
