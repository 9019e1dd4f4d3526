/**
 * Traces as the rest of the service sees them: start a span, say what it is about, end it. What is behind it is loaded
 * only where traces are to be sent somewhere (`createTracing`); where not, {@link NO_TRACING} is all there is, and
 * nobody makes a span to throw it away.
 */
import type { TraceContext } from './trace-context';

export type AttributeValue = string | number | boolean;

/** A span's part in a conversation, in OpenTelemetry's terms. */
export type SpanKind = 'server' | 'client' | 'consumer' | 'internal';

/** What a span begins with. */
export interface SpanStart {
  kind: SpanKind;
  /** What caused it; a trace of its own where there is nothing. */
  parent?: TraceContext;
  /** When it began, milliseconds of Unix time; now where left out. */
  startTime?: number;
  attributes?: Record<string, AttributeValue>;
}

/** Something that takes time, under way. */
export interface TraceSpan {
  readonly context: TraceContext;
  set(name: string, value: AttributeValue): void;
  rename(name: string): void;
  /** Ends it; `errorType` says that it failed, and how, in a word of a small set. */
  end(errorType?: string): void;
}

/** Where spans are made. */
export interface Tracing {
  /** Whether spans go anywhere: asked before anything is prepared for one. */
  readonly isOn: boolean;
  start(name: string, start: SpanStart): TraceSpan | undefined;
  /** The context that `within` was called with, here and in all that comes of it. */
  active(): TraceContext | undefined;
  within<T>(context: TraceContext | undefined, work: () => T): T;
  /** Sends what has ended; for tests. */
  flush(): Promise<void>;
  /** Sends what has ended, for a few seconds at most. Never rejects. */
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

/** Runs `work` as a span of what is under way, where something is; its failure is the span's. */
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
