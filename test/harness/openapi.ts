/** The OpenAPI document as tests read it: its operations, and responses checked against them. */
import Ajv2020, { type ValidateFunction } from 'ajv/dist/2020';
import addFormats from 'ajv-formats';
import type { ApiResponse } from './client';

type Json = Record<string, unknown>;
interface Media {
  schema?: Json;
  example?: unknown;
  examples?: Record<string, { value?: unknown }>;
}
interface DocumentedHeader {
  required?: boolean;
  schema: Json & { type?: string };
}
interface DocumentedResponse {
  headers?: Record<string, DocumentedHeader>;
  content?: Record<string, Media>;
}

/** One operation of the document, with its references resolved for the tests. */
export interface DocumentedOperation {
  /** `GET /api/v1/orders/{id}` */
  name: string;
  method: string;
  path: string;
  operationId: string;
  public: boolean;
  description: string;
  /** Names of query parameters. */
  query: string[];
  /** The first example of its request body. */
  body?: unknown;
  requestSchema?: Json;
  responses: Record<string, DocumentedResponse>;
}

export interface OpenApiDocument extends Json {
  paths: Record<string, Record<string, Json>>;
  webhooks: Record<string, { post: Json }>;
  components: Record<string, Record<string, Json>>;
}

/** The value of a reference; any other value is returned as it is. */
export function follow<T>(document: OpenApiDocument, value: T | { $ref: string }): T {
  const reference = (value as { $ref?: string }).$ref;
  if (reference === undefined) return value as T;
  const steps = reference.replace('#/', '').split('/');
  return follow(document, steps.reduce<unknown>((at, step) => (at as Json)[step], document) as T);
}

/** Whether a call needs no credential; it may take one. */
function isOpen(security: readonly object[]): boolean {
  return security.length === 0 || security.some((one) => Object.keys(one).length === 0);
}

/** Every operation of the document, in its order. */
export function operationsOf(document: OpenApiDocument): DocumentedOperation[] {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => {
      const parameters = ((operation.parameters ?? []) as Json[]).map((parameter) => follow(document, parameter));
      const media = (operation.requestBody as { content: Record<string, Media> } | undefined)?.content[
        'application/json'
      ];
      const [firstExample] = Object.values(media?.examples ?? {});
      const responses = Object.entries(operation.responses as Json).map(([status, response]) => {
        const followed = follow(document, response as DocumentedResponse);
        const headers = Object.entries(followed.headers ?? {}).map(([name, header]) => [
          name,
          follow(document, header),
        ]);
        return [status, { ...followed, headers: Object.fromEntries(headers) }];
      });
      return {
        name: `${method.toUpperCase()} ${path}`,
        method: method.toUpperCase(),
        path,
        operationId: operation.operationId as string,
        public: isOpen(operation.security as object[]),
        description: operation.description as string,
        query: parameters.filter((parameter) => parameter.in === 'query').map((parameter) => parameter.name as string),
        body: media?.example ?? firstExample?.value,
        requestSchema: media?.schema,
        responses: Object.fromEntries(responses) as Record<string, DocumentedResponse>,
      };
    }),
  );
}

/**
 * Checks responses against the document, more strictly than a client would: the document must declare the response for
 * its status, and every field and header of it.
 */
export class Conformance {
  private readonly ajv = new Ajv2020({ strict: false, allErrors: true });
  private readonly validators = new Map<string, ValidateFunction>();
  private readonly contractHeaders: Map<string, string>;
  readonly operations: DocumentedOperation[];
  /** The checked responses, as `GET /api/v1/orders 200`. */
  readonly seen = new Set<string>();

  constructor(document: OpenApiDocument) {
    addFormats(this.ajv);
    this.operations = operationsOf(document);
    this.ajv.addSchema(closed(document) as Json, 'document');
    this.contractHeaders = new Map(
      Object.keys(document.components.headers as Json).map((name) => [name.toLowerCase(), name]),
    );
  }

  /** Checks one response. @returns its faults */
  faultsOf(method: string, url: string, reply: ApiResponse, requestBody?: unknown): string[] {
    const operation = this.find(method, url.split('?', 1)[0] as string);
    if (!operation) return [`${method} ${url} is not in the document`];
    const response = operation.responses[reply.status];
    const what = `${operation.name} ${reply.status}`;
    if (!response) return [`${what} is not in the document: ${reply.text.slice(0, 200)}`];
    this.seen.add(what);
    const ok = reply.status < 300;
    return [
      ...this.bodyFaults(response, reply),
      ...this.headerFaults(response, reply),
      ...(ok && operation.requestSchema && requestBody !== undefined && typeof requestBody !== 'string'
        ? this.schemaFaults(operation.requestSchema, requestBody, 'request')
        : []),
    ].map((fault) => `${what}: ${fault}`);
  }

  /** Checks a value against a schema of the document. */
  schemaFaults(schema: Json, value: unknown, what: string): string[] {
    const key = JSON.stringify(schema);
    let validate = this.validators.get(key);
    if (!validate) this.validators.set(key, (validate = this.ajv.compile(closed(absolute(schema)) as Json)));
    return validate(value) ? [] : (validate.errors ?? []).map((e) => `${what}${e.instancePath} ${e.message}`);
  }

  private find(method: string, path: string): DocumentedOperation | undefined {
    const fitting = this.operations.filter(
      (operation) =>
        operation.method === method && new RegExp(`^${operation.path.replace(/\{\w+\}/g, '[^/]+')}$`).test(path),
    );
    return fitting.sort((a, b) => a.path.split('{').length - b.path.split('{').length)[0];
  }

  private bodyFaults(response: DocumentedResponse, reply: ApiResponse): string[] {
    const type = reply.headers.get('content-type')?.split(';')[0];
    if (!response.content) return reply.text === '' && !type ? [] : [`has a body (${type}), and none is documented`];
    const media = response.content[type ?? ''];
    if (!media) return [`is ${type}, and that is not documented`];
    if (!media.schema || !type?.endsWith('json') || type.endsWith('ndjson')) return [];
    return this.schemaFaults(media.schema, reply.body, 'body');
  }

  private headerFaults(response: DocumentedResponse, reply: ApiResponse): string[] {
    const documented = Object.entries(response.headers ?? {});
    const faults = documented.flatMap(([name, header]) => {
      const text = reply.headers.get(name);
      if (text === null) return header.required ? [`lacks ${name}`] : [];
      return this.schemaFaults(header.schema, header.schema.type === 'integer' ? Number(text) : text, name);
    });
    const known = new Set(documented.map(([name]) => name.toLowerCase()));
    const others = [...reply.headers.keys()].filter((name) => this.contractHeaders.has(name) && !known.has(name));
    // Fastify's own files have caching headers of HTTP's.
    const unknown = others.filter(
      (name) => !(name === 'cache-control' || (name === 'etag' && response.content?.['text/css'])),
    );
    return [...faults, ...unknown.map((name) => `has ${this.contractHeaders.get(name)}, which is not documented`)];
  }
}

/** References into the document, for a schema outside of it. */
function absolute(schema: Json): Json {
  return JSON.parse(JSON.stringify(schema), (key, value: unknown) =>
    key === '$ref' && typeof value === 'string' ? value.replace(/^#/, 'document#') : value,
  ) as Json;
}

/** A copy in which objects have the fields they list and no others. */
function closed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closed);
  if (typeof value !== 'object' || value === null) return value;
  const copy: Json = Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, closed(inner)]));
  const isSchema = typeof copy.properties === 'object' && copy.type === 'object';
  return isSchema && copy.additionalProperties === undefined ? { ...copy, additionalProperties: false } : copy;
}
