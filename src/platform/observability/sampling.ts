import type { Config } from '../config/config';

/** Decides about traces that callers began. */
export interface CallersSampling {
  /** A caller decides whether its trace is kept. */
  readonly trusted: boolean;
  /** The share of traces that are kept, 0 to 1. */
  readonly share: number;
}

/** Keeps every trace that a caller wants kept. */
export const EVERY_TRACE: CallersSampling = { trusted: true, share: 1 };

type Sampler = Pick<Config, 'OTEL_TRACES_SAMPLER' | 'OTEL_TRACES_SAMPLER_ARG'>;

/** The share of traces that the configured sampler keeps. */
export function keptShare({ OTEL_TRACES_SAMPLER: name, OTEL_TRACES_SAMPLER_ARG: share }: Sampler): number {
  if (name.endsWith('always_on')) return 1;
  return name.endsWith('always_off') ? 0 : share;
}

/** Keeps a span if its parent is kept, and drops it if that is dropped. */
export function followsParent({ OTEL_TRACES_SAMPLER: name }: Pick<Config, 'OTEL_TRACES_SAMPLER'>): boolean {
  return name.startsWith('parentbased_');
}

/** The configured decision about traces of callers. */
export function callersSampling(config: Sampler & Pick<Config, 'TRUST_TRACE_CONTEXT'>): CallersSampling {
  return { trusted: config.TRUST_TRACE_CONTEXT, share: keptShare(config) };
}
