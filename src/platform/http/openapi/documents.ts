/**
 * Serves the document at `/openapi.json` and `/openapi.yaml` and as a page, and describes these routes. It is built at
 * the first request and kept as text.
 */
import type { INestApplication } from '@nestjs/common';
import type { OpenAPIObject } from '@nestjs/swagger';
import type { FastifyInstance } from 'fastify';
import { CachedDocument } from './cached-document';
import type { Parameter, PathItem, Section } from './declarations';
import { headerReferences } from './headers';
import { PROBLEMS } from './problem-kinds';
import type { Product } from './product';
import { rootPath } from './root-page';
import type { Route } from './routes';
import { swaggerUi, UI_FILES, UI_PATH } from './swagger-ui';

const JSON_PATH = '/openapi.json';
const YAML_PATH = '/openapi.yaml';
const YAML_TYPE = 'application/yaml';

/** Serves the documents of the application. `build` is called once, at the first request of one of them. */
export function serveDocuments(
  app: INestApplication,
  title: string,
  build: () => OpenAPIObject,
  publicUrl?: string,
): void {
  const server = app.getHttpAdapter().getInstance() as FastifyInstance;
  let text: string | undefined;
  const document = (): string => (text ??= JSON.stringify(build()));
  let json: CachedDocument | undefined;
  let yaml: Promise<CachedDocument> | undefined;
  const yamlDocument = async (): Promise<CachedDocument> => new CachedDocument(YAML_TYPE, await toYaml(document()));

  server.get(JSON_PATH, { config: { document: true } }, async (request, reply) => {
    await (json ??= new CachedDocument('application/json', document())).send(request, reply);
    return reply;
  });
  server.get(YAML_PATH, { config: { document: true } }, async (request, reply) => {
    await (await (yaml ??= yamlDocument())).send(request, reply);
    return reply;
  });
  void server.register(swaggerUi, { prefix: UI_PATH, title, calls: publicUrl && new URL(publicUrl).origin });
}

async function toYaml(json: string): Promise<string> {
  const { dump } = await import('js-yaml');
  return dump(JSON.parse(json), { noRefs: true, lineWidth: 120 });
}

/** The description of the documents' own routes. */
export const DOCUMENT_SECTION: Section = {
  name: 'Documents',
  description: 'This description, for programs and for people. Not there where `DOCS_ENABLED` is `false`.',
};

const DOCUMENT_ROUTE: Route = {
  section: DOCUMENT_SECTION,
  public: 'limited',
  person: false,
  stepUp: false,
  reads: true,
  idempotent: false,
  ifMatch: false,
  ifNoneMatch: false,
  problems: [],
};

/** The route of the document as JSON or YAML, which has an entity tag. */
const OPENAPI_ROUTE: Route = { ...DOCUMENT_ROUTE, ifNoneMatch: true };

/** The route of a file, with support for ranges and conditions. */
const FILE_ROUTE: Route = {
  ...DOCUMENT_ROUTE,
  problems: (['version_conflict', 'range_not_satisfiable'] as const).map((code) => ({
    code,
    detail: PROBLEMS[code].detail,
  })),
};

/** How the route of one of the documents' paths is described. */
export function documentRoute(path: string): Route {
  if (path.includes('{')) return FILE_ROUTE;
  return path === JSON_PATH || path === YAML_PATH ? OPENAPI_ROUTE : DOCUMENT_ROUTE;
}

const get = (
  operationId: string,
  summary: string,
  description: string,
  mediaType: string,
  schema: object,
  example: unknown,
): PathItem => ({
  get: {
    tags: [DOCUMENT_SECTION.name],
    operationId,
    summary,
    description,
    responses: { 200: { description: `${summary}.`, content: { [mediaType]: { schema, example } } } },
  },
});

const FILE: Parameter = {
  name: 'file',
  in: 'path',
  required: true,
  description: 'The name of the file.',
  schema: { type: 'string', enum: UI_FILES },
};

/** The documents' own paths. */
export const documentPaths = ({ title }: Product): Record<string, PathItem> => ({
  ...rootPath(DOCUMENT_SECTION.name, title),
  [JSON_PATH]: get(
    'getOpenApiJson',
    'This document as JSON',
    'OpenAPI 3.1, for generators of clients. A request may omit a field with a default: openapi-typescript ' +
      'generates that with `--default-non-nullable=false`.',
    'application/json',
    { type: 'object', description: 'An OpenAPI 3.1 document.' },
    { openapi: '3.1.0', info: { title, version: '1.0.0' }, paths: {} },
  ),
  [YAML_PATH]: get(
    'getOpenApiYaml',
    'This document as YAML',
    'The same as `/openapi.json`.',
    YAML_TYPE,
    { description: 'An OpenAPI 3.1 document.' },
    `openapi: 3.1.0\ninfo:\n  title: ${title}\n  version: 1.0.0\npaths: {}\n`,
  ),
  [UI_PATH]: get(
    'getDocs',
    'Swagger UI',
    'This document as an interactive page.',
    'text/html',
    { type: 'string', description: 'A page.' },
    '<!doctype html>…',
  ),
  [`${UI_PATH}/{file}`]: {
    get: {
      tags: [DOCUMENT_SECTION.name],
      operationId: 'getDocsFile',
      summary: 'A file of Swagger UI',
      description: 'The scripts, styles and pictures of the page.',
      parameters: [FILE],
      responses: {
        200: {
          description: 'The file.',
          content: {
            'text/css': { schema: { type: 'string' }, example: 'body { margin: 0; }' },
            'application/javascript': { schema: { type: 'string' }, example: "'use strict';" },
            'image/png': {},
          },
        },
        206: {
          description: 'The part of the file that `Range` names.',
          headers: headerReferences(['Content-Range']),
          content: { 'text/css': {}, 'application/javascript': {}, 'image/png': {} },
        },
        304: { description: 'The file is unchanged since `If-None-Match` or `If-Modified-Since`.' },
      },
    },
  },
});
