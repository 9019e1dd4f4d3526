import { readPairs } from './pairs';
import { PRODUCT_NAME } from './service-name';
import { choice, flag, integer, share, text, url } from './variables';

/** The variables of traces: those of OpenTelemetry under their standard names, and the trust in callers' traces. */
export const TRACING_VARIABLES = {
  OTEL_EXPORTER_OTLP_ENDPOINT: url({
    schemes: ['http', 'https'],
    doc: 'Collector of traces (OTLP over HTTP; the service appends `/v1/traces`). Without it, there are no traces.',
  }),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: url({
    schemes: ['http', 'https'],
    doc: 'The same for traces alone: the whole URL, used unchanged.',
  }),
  OTEL_SDK_DISABLED: flag({ fallback: false, doc: '`true`: no traces, also with a collector.' }),
  OTEL_EXPORTER_OTLP_TIMEOUT: integer({
    min: 1,
    max: 60_000,
    fallback: 5_000,
    doc: 'Timeout of one export, milliseconds.',
  }),
  OTEL_EXPORTER_OTLP_HEADERS: text({
    secret: true,
    check: (value) => void readPairs(value),
    doc: 'Headers for the collector, such as a key: `name=value`, comma-separated, values percent-encoded.',
  }),
  OTEL_SERVICE_NAME: text({
    doc: `Name of the service in traces (default: \`${PRODUCT_NAME}-\` and the role).`,
  }),
  OTEL_RESOURCE_ATTRIBUTES: text({
    check: (value) => void readPairs(value),
    doc: 'Additional attributes of the service in traces: `name=value`, comma-separated, values percent-encoded.',
  }),
  OTEL_BSP_SCHEDULE_DELAY: integer({
    min: 1,
    max: 60_000,
    fallback: 1_000,
    doc: 'Interval between two exports of ended spans, milliseconds.',
  }),
  OTEL_BSP_MAX_QUEUE_SIZE: integer({
    min: 1,
    max: 100_000,
    fallback: 4_096,
    doc: 'Maximum number of ended spans that wait; further ones are dropped.',
  }),
  OTEL_BSP_MAX_EXPORT_BATCH_SIZE: integer({
    min: 1,
    max: 10_000,
    fallback: 512,
    doc: 'Maximum number of spans in one export.',
  }),
  TRUST_TRACE_CONTEXT: flag({
    fallback: false,
    doc:
      '`true`: the `traceparent` of a caller decides whether its trace is kept. Otherwise `OTEL_TRACES_SAMPLER_ARG` ' +
      'decides for each request; a caller can still opt out.',
  }),
  OTEL_TRACES_SAMPLER: choice({
    values: [
      'always_on',
      'always_off',
      'traceidratio',
      'parentbased_always_on',
      'parentbased_always_off',
      'parentbased_traceidratio',
    ],
    fallback: 'parentbased_traceidratio',
    doc: 'The sampler of traces. `parentbased_…` follows the parent of a span, if it has one.',
  }),
  OTEL_TRACES_SAMPLER_ARG: share({
    fallback: 1,
    doc: 'Share of the kept traces, 0 to 1, including those of callers unless `TRUST_TRACE_CONTEXT` is set.',
  }),
} as const;
