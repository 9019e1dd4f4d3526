import type { Logger } from 'pino';
import type { Config } from '../config/config';
import { NO_TRACING, type Tracing } from './tracing';

/** Traces to `OTEL_EXPORTER_OTLP_ENDPOINT`; without it tracing is off, and nothing is loaded for it. */
export async function createTracing(config: Config, logger: Logger, role: string): Promise<Tracing> {
  if (config.OTEL_EXPORTER_OTLP_ENDPOINT === undefined) return NO_TRACING;
  const { OtlpTracing } = await import('./otlp-tracing.js');
  return new OtlpTracing(config, logger, role);
}
