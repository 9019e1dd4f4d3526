import type { Logger } from 'pino';
import type { Config } from '../config/config';
import { NO_TRACING, type Tracing } from './tracing';

/** Traces to the configured collector; without one tracing is off, and nothing is loaded for it. */
export async function createTracing(config: Config, logger: Logger, role: string): Promise<Tracing> {
  const collector = config.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? config.OTEL_EXPORTER_OTLP_ENDPOINT;
  if (collector === undefined || config.OTEL_SDK_DISABLED) return NO_TRACING;
  const { OtlpTracing } = await import('./otlp-tracing.js');
  return new OtlpTracing(config, logger, role);
}
