import { type Config, platformWarnings } from '../platform/config/config';
import { webhookWarnings } from '../webhooks/webhook-warnings';

/** Settings that are valid and probably not intended, of the platform and of the features; logged at each start. */
export function configWarnings(config: Config, env: NodeJS.ProcessEnv): string[] {
  return [...webhookWarnings(config, env), ...platformWarnings(env)];
}
