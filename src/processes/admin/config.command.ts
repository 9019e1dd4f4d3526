import { describeConfig } from '../../platform/config/describe';
import type { Command } from './command';

export const configCommand: Command = {
  usage: '',
  help: `Prints every variable as this process reads it, with where its value comes from. Secrets are masked; of URLs, who connects
where is left. Connects to nothing.`,
  run() {
    const variables = describeConfig(process.env);
    return Promise.resolve({
      lines: variables.map(({ name, value, source }) => `${name}=${value ?? ''}  (${source})`),
      data: { variables: variables.map(({ value, ...rest }) => ({ ...rest, value: value ?? null })) },
    });
  },
};
