import type { Config } from '../platform/config/config';

const PROXY_VARIABLES = ['HTTP_PROXY', 'HTTPS_PROXY', 'http_proxy', 'https_proxy'];

/** Settings of webhooks that are valid and probably not intended. */
export function webhookWarnings(config: Config, env: NodeJS.ProcessEnv): string[] {
  const warnings: string[] = [];
  if (config.SHUTDOWN_TIMEOUT < config.WEBHOOK_TIMEOUT) {
    warnings.push('SHUTDOWN_TIMEOUT is shorter than WEBHOOK_TIMEOUT: a stop cuts off deliveries, which are sent again');
  }
  for (const name of PROXY_VARIABLES) {
    if (env[name]) warnings.push(`${name} is ignored: webhooks connect to their receivers directly`);
  }
  return warnings;
}
