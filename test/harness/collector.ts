import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A span as it was sent, its attributes as an object. */
export interface SentSpan {
  service: string;
  traceId: string;
  spanId: string;
  parentSpanId: string;
  name: string;
  /** 1 internal, 2 server, 3 client, 5 consumer. */
  kind: number;
  attributes: Record<string, unknown>;
  failed: boolean;
  startedAt: number;
  endedAt: number;
}

/** An OTLP/HTTP collector on loopback, for traces. */
export interface Collector {
  url: string;
  spans: SentSpan[];
  /** Every request as it came. */
  bodies: string[];
  headers: NodeJS.Dict<string | string[]>[];
  /** Its reaction to a request: accept, refuse, or no response. */
  behaviour: 'takes' | 'refuses' | 'hangs';
  stop(): Promise<void>;
}

interface Attribute {
  key: string;
  value: Record<string, unknown>;
}

interface ExportRequest {
  resourceSpans: {
    resource: { attributes: Attribute[] };
    scopeSpans: {
      spans: {
        traceId: string;
        spanId: string;
        parentSpanId?: string;
        name: string;
        kind: number;
        attributes: Attribute[];
        status: { code?: number };
        startTimeUnixNano: string;
        endTimeUnixNano: string;
      }[];
    }[];
  }[];
}

const toObject = (attributes: Attribute[]): Record<string, unknown> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));

export async function startCollector(): Promise<Collector> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      collector.bodies.push(body);
      collector.headers.push(request.headers);
      if (collector.behaviour === 'hangs') return;
      if (collector.behaviour === 'refuses' || request.url !== '/v1/traces') return void response.writeHead(400).end();
      for (const { resource, scopeSpans } of (JSON.parse(body) as ExportRequest).resourceSpans) {
        const service = String(toObject(resource.attributes)['service.name']);
        for (const span of scopeSpans.flatMap(({ spans }) => spans)) {
          collector.spans.push({
            service,
            traceId: span.traceId,
            spanId: span.spanId,
            parentSpanId: span.parentSpanId ?? '',
            name: span.name,
            kind: span.kind,
            attributes: toObject(span.attributes),
            failed: span.status.code === 2,
            startedAt: Number(BigInt(span.startTimeUnixNano) / 1000n) / 1000,
            endedAt: Number(BigInt(span.endTimeUnixNano) / 1000n) / 1000,
          });
        }
      }
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const collector: Collector = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans: [],
    bodies: [],
    headers: [],
    behaviour: 'takes',
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return collector;
}
