import {
  context,
  diag,
  DiagLogLevel,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind as OtelKind,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Tracer,
} from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
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
import { followsParent, keptShare } from './sampling';
import type { TraceContext } from './trace-context';
import type { AttributeValue, SpanKind, SpanStart, TraceSpan, Tracing } from './tracing';

/** How long a stopping process waits for its last spans. */
const STOP_TIMEOUT_MS = 3_000;
/** Interval of log lines about an unreachable collector. */
const LOG_INTERVAL_MS = 60_000;

const KINDS: Readonly<Record<SpanKind, OtelKind>> = {
  server: OtelKind.SERVER,
  client: OtelKind.CLIENT,
  consumer: OtelKind.CONSUMER,
  internal: OtelKind.INTERNAL,
};

/** The provider of `@opentelemetry/api`: of several in a process the first. */
let globalProvider: BasicTracerProvider | undefined;
/** Carries the active span across asynchronous work, for the whole life of the process. */
let contextManager: AsyncLocalStorageContextManager | undefined;

/**
 * Traces over OTLP/HTTP by OpenTelemetry's SDK. Our own code makes the spans; the SDK samples, collects and sends them.
 * Spans that other code makes by `@opentelemetry/api` have those of the service as parents, and vice versa. A collector
 * that is away, slow or full costs spans and nothing else.
 */
export class OtlpTracing implements Tracing {
  readonly isOn = true;
  private readonly provider: BasicTracerProvider;
  private readonly tracer: Tracer;

  constructor(config: Config, logger: Logger, role: string) {
    logExporterErrors(logger);
    const root = new TraceIdRatioBasedSampler(keptShare(config));
    this.provider = new BasicTracerProvider({
      resource: resourceOf(config, role),
      sampler: followsParent(config) ? new ParentBasedSampler({ root }) : root,
      spanProcessors: [
        new BatchSpanProcessor(
          // It reads other settings, such as certificates and compression, from its own variables.
          new OTLPTraceExporter({
            url: collectorOf(config),
            headers: Object.fromEntries(readPairs(config.OTEL_EXPORTER_OTLP_HEADERS ?? '')),
            timeoutMillis: config.OTEL_EXPORTER_OTLP_TIMEOUT,
          }),
          {
            maxQueueSize: config.OTEL_BSP_MAX_QUEUE_SIZE,
            maxExportBatchSize: Math.min(config.OTEL_BSP_MAX_EXPORT_BATCH_SIZE, config.OTEL_BSP_MAX_QUEUE_SIZE),
            scheduledDelayMillis: config.OTEL_BSP_SCHEDULE_DELAY,
            exportTimeoutMillis: config.OTEL_EXPORTER_OTLP_TIMEOUT,
          },
        ),
      ],
    });
    this.tracer = this.provider.getTracer(SERVICE_NAME, buildVersion());
    if (!contextManager) {
      contextManager = new AsyncLocalStorageContextManager().enable();
      context.setGlobalContextManager(contextManager);
    }
    if (!globalProvider) {
      globalProvider = this.provider;
      trace.setGlobalTracerProvider(globalProvider);
    }
  }

  start(name: string, { kind, parent, startTime, attributes }: SpanStart): TraceSpan {
    const within = parent ? trace.setSpanContext(ROOT_CONTEXT, toSpanContext(parent)) : ROOT_CONTEXT;
    return new OtlpSpan(this.tracer.startSpan(name, { kind: KINDS[kind], startTime, attributes }, within));
  }

  active(): TraceContext | undefined {
    const active = trace.getSpanContext(context.active());
    return active && toTraceContext(active);
  }

  within<T>(parent: TraceContext | undefined, work: () => T): T {
    const around = context.active();
    return context.with(parent ? trace.setSpanContext(around, toSpanContext(parent)) : trace.deleteSpan(around), work);
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
    if (globalProvider !== this.provider) return;
    globalProvider = undefined;
    trace.disable();
  }
}

/** The attributes of the service; its own variables come before those of `OTEL_RESOURCE_ATTRIBUTES`. */
function resourceOf(config: Config, role: string) {
  const given: Record<string, string> = Object.fromEntries(readPairs(config.OTEL_RESOURCE_ATTRIBUTES ?? ''));
  return resourceFromAttributes({
    [ATTR_SERVICE_VERSION]: buildVersion(),
    ...given,
    [ATTR_SERVICE_NAME]: config.OTEL_SERVICE_NAME ?? given[ATTR_SERVICE_NAME] ?? `${PRODUCT_NAME}-${role}`,
  });
}

function collectorOf(config: Config): string {
  const own = config.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT;
  return own ?? `${required(config, 'OTEL_EXPORTER_OTLP_ENDPOINT').replace(/\/$/, '')}/v1/traces`;
}

class OtlpSpan implements TraceSpan {
  readonly context: TraceContext;

  constructor(private readonly span: Span) {
    this.context = toTraceContext(span.spanContext());
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

function toTraceContext({ traceId, spanId, traceFlags }: SpanContext): TraceContext {
  return { traceId, spanId, sampled: (traceFlags & TraceFlags.SAMPLED) !== 0 };
}

function toSpanContext({ traceId, spanId, sampled }: TraceContext) {
  return { traceId, spanId, traceFlags: sampled ? TraceFlags.SAMPLED : TraceFlags.NONE, isRemote: true };
}

/** OpenTelemetry reports its own errors to one handler of the process. */
function logExporterErrors(logger: Logger): void {
  let loggedAt = -Infinity;
  const logError = (message: string): void => {
    const now = performance.now();
    if (now - loggedAt < LOG_INTERVAL_MS) return;
    loggedAt = now;
    logger.warn({ reason: message.slice(0, 500) }, 'traces could not be sent');
  };
  const silent = (): void => undefined;
  diag.setLogger(
    { error: logError, warn: silent, info: silent, debug: silent, verbose: silent },
    { logLevel: DiagLogLevel.ERROR, suppressOverrideMessage: true },
  );
}
