import { AsyncLocalStorage } from 'node:async_hooks';
import {
  diag,
  DiagLogLevel,
  ROOT_CONTEXT,
  type Span,
  SpanKind as OtelKind,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Tracer,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace-base';
import { ATTR_ERROR_TYPE, ATTR_SERVICE_NAME, ATTR_SERVICE_VERSION } from '@opentelemetry/semantic-conventions';
import type { Logger } from 'pino';
import { type Config, required } from '../config/config';
import { readPairs } from '../config/pairs';
import { PRODUCT_NAME, SERVICE_NAME } from '../config/service-name';
import { buildVersion } from './metrics';
import type { TraceContext } from './trace-context';
import type { AttributeValue, SpanKind, SpanStart, TraceSpan, Tracing } from './tracing';

/** Maximum ended spans that wait to be sent: further ones are dropped. */
const MAX_QUEUED = 4_096;
const BATCH = 512;
const BATCH_EVERY_MS = 1_000;
const EXPORT_TIMEOUT_MS = 5_000;
/** How long a stopping process waits for its last spans. */
const STOP_TIMEOUT_MS = 3_000;
/** Interval of log lines about an unreachable collector. */
const COMPLAIN_EVERY_MS = 60_000;

const KINDS: Readonly<Record<SpanKind, OtelKind>> = {
  server: OtelKind.SERVER,
  client: OtelKind.CLIENT,
  consumer: OtelKind.CONSUMER,
  internal: OtelKind.INTERNAL,
};

/**
 * Traces over OTLP/HTTP by OpenTelemetry's SDK. Our own code makes the spans; the SDK samples, collects and sends them.
 * An unavailable, slow or full collector costs spans and nothing else.
 */
export class OtlpTracing implements Tracing {
  readonly isOn = true;
  private readonly provider: BasicTracerProvider;
  private readonly tracer: Tracer;
  private readonly current = new AsyncLocalStorage<TraceContext | undefined>();

  constructor(config: Config, logger: Logger, role: string) {
    hearComplaints(logger);
    const collector = required(config, 'OTEL_EXPORTER_OTLP_ENDPOINT');
    this.provider = new BasicTracerProvider({
      resource: resourceFromAttributes({
        [ATTR_SERVICE_NAME]: config.OTEL_SERVICE_NAME ?? `${PRODUCT_NAME}-${role}`,
        [ATTR_SERVICE_VERSION]: buildVersion(),
      }),
      // A trace of a client follows the client's flag; of our own, a share is kept.
      sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(config.OTEL_TRACES_SAMPLER_ARG) }),
      spanProcessors: [
        new BatchSpanProcessor(
          new OTLPTraceExporter({
            url: `${collector.replace(/\/$/, '')}/v1/traces`,
            headers: Object.fromEntries(readPairs(config.OTEL_EXPORTER_OTLP_HEADERS ?? '')),
            timeoutMillis: EXPORT_TIMEOUT_MS,
          }),
          {
            maxQueueSize: MAX_QUEUED,
            maxExportBatchSize: BATCH,
            scheduledDelayMillis: BATCH_EVERY_MS,
            exportTimeoutMillis: EXPORT_TIMEOUT_MS,
          },
        ),
      ],
    });
    this.tracer = this.provider.getTracer(SERVICE_NAME, buildVersion());
  }

  start(name: string, { kind, parent, startTime, attributes }: SpanStart): TraceSpan {
    const context = parent ? trace.setSpanContext(ROOT_CONTEXT, toSpanContext(parent)) : ROOT_CONTEXT;
    return new OtlpSpan(this.tracer.startSpan(name, { kind: KINDS[kind], startTime, attributes }, context));
  }

  active(): TraceContext | undefined {
    return this.current.getStore();
  }

  within<T>(context: TraceContext | undefined, work: () => T): T {
    return this.current.run(context, work);
  }

  flush(): Promise<void> {
    return this.provider.forceFlush();
  }

  async stop(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, STOP_TIMEOUT_MS);
    });
    // The failed export was logged already.
    await Promise.race([this.provider.shutdown().catch(() => undefined), deadline]);
    clearTimeout(timer);
  }
}

class OtlpSpan implements TraceSpan {
  readonly context: TraceContext;

  constructor(private readonly span: Span) {
    const { traceId, spanId, traceFlags } = span.spanContext();
    this.context = { traceId, spanId, sampled: (traceFlags & TraceFlags.SAMPLED) !== 0 };
  }

  set(name: string, value: AttributeValue): void {
    this.span.setAttribute(name, value);
  }

  rename(name: string): void {
    this.span.updateName(name);
  }

  end(errorType?: string): void {
    if (errorType !== undefined) {
      this.span.setAttribute(ATTR_ERROR_TYPE, errorType);
      this.span.setStatus({ code: SpanStatusCode.ERROR });
    }
    this.span.end();
  }
}

function toSpanContext({ traceId, spanId, sampled }: TraceContext) {
  return { traceId, spanId, traceFlags: sampled ? TraceFlags.SAMPLED : TraceFlags.NONE, isRemote: true };
}

/** OpenTelemetry reports its own errors to one handler of the process. */
function hearComplaints(logger: Logger): void {
  let complainedAt = -Infinity;
  const complain = (message: string): void => {
    const now = performance.now();
    if (now - complainedAt < COMPLAIN_EVERY_MS) return;
    complainedAt = now;
    logger.warn({ reason: message.slice(0, 500) }, 'traces could not be sent');
  };
  const silent = (): void => undefined;
  diag.setLogger(
    { error: complain, warn: silent, info: silent, debug: silent, verbose: silent },
    { logLevel: DiagLogLevel.ERROR, suppressOverrideMessage: true },
  );
}
