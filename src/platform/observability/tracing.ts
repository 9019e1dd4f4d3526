/**
 * Tracing as the rest of the service sees it: start a span, set its attributes, end it. The implementation is loaded
 * only where traces are exported (`createTracing`); otherwise {@link NO_TRACING} makes no spans.
 */
import type { TraceContext } from './trace-context';

export type AttributeValue = string | number | boolean;

/** The kind of a span, in OpenTelemetry's terms. */
export type SpanKind = 'server' | 'client' | 'consumer' | 'internal';

/** The start of a span. */
export interface SpanStart {
  kind: SpanKind;
  /** The parent; a new trace without it. */
  parent?: TraceContext;
  /** Start time, milliseconds of Unix time; now where left out. */
  startTime?: number;
  attributes?: Record<string, AttributeValue>;
}

/** A span in progress. */
export interface TraceSpan {
  readonly context: TraceContext;
  set(name: string, value: AttributeValue): void;
  rename(name: string): void;
  /** Ends it; `errorType` marks a failure, by a word of a small set. */
  end(errorType?: string): void;
}

/** Makes spans. */
export interface Tracing {
  /** Whether spans are exported: checked before any work for one. */
  readonly isOn: boolean;
  start(name: string, start: SpanStart): TraceSpan | undefined;
  /** The context of the enclosing `within`, also in asynchronous continuations. */
  active(): TraceContext | undefined;
  within<T>(context: TraceContext | undefined, work: () => T): T;
  /** Exports ended spans; for tests. */
  flush(): Promise<void>;
  /** Exports ended spans, for a few seconds at most. Never rejects. */
  stop(): Promise<void>;
}

/** Injection token of the {@link Tracing}. */
export const TRACING = Symbol('TRACING');

export const NO_TRACING: Tracing = {
  isOn: false,
  start: () => undefined,
  active: () => undefined,
  within: (_, work) => work(),
  flush: () => Promise.resolve(),
  stop: () => Promise.resolve(),
};

/** Runs `work` as a child span of the current one, if any; its failure marks the span. */
export async function traced<T>(
  tracing: Tracing,
  begin: (parent: TraceContext) => TraceSpan | undefined,
  work: () => Promise<T>,
  errorType: (error: unknown) => string,
): Promise<T> {
  const parent = tracing.active();
  const span = parent && begin(parent);
  if (!span) return work();
  try {
    const result = await work();
    span.end();
    return result;
  } catch (error) {
    span.end(errorType(error));
    throw error;
  }
}
