/**
 * Serves the document at `/openapi.json` and `/openapi.yaml`, and Swagger UI at `/docs`. Nothing is built before it is
 * asked for; then it is kept as text, and the objects it was made of are let go. Swagger UI's files come from its own
 * package; the page has no script or style of its own in it, so that its policy can forbid them.
 */
import { dirname } from 'node:path';
import fastifyStatic from '@fastify/static';
import type { INestApplication } from '@nestjs/common';
import type { OpenAPIObject } from '@nestjs/swagger';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { PathItem, Section } from './openapi-declarations';
import type { Route } from './openapi-routes';

const JSON_PATH = '/openapi.json';
const YAML_PATH = '/openapi.yaml';
const UI_PATH = '/docs';
const YAML_TYPE = 'application/yaml';

/** What the page may do: run and show its own files, and call this server. */
const UI_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join(';');
const UI_FILES = ['swagger-ui.css', 'swagger-ui-bundle.js', 'favicon-16x16.png', 'favicon-32x32.png'];

/** Serves the documents of the application. `build` is called once, at the first request of one of them. */
export function serveDocuments(app: INestApplication, build: () => OpenAPIObject): void {
  const server = app.getHttpAdapter().getInstance() as FastifyInstance;
  let json: string | undefined;
  const document = (): string => (json ??= JSON.stringify(build()));
  let yaml: Promise<string> | undefined;

  server.get(JSON_PATH, (_request, reply) => reply.type('application/json; charset=utf-8').send(document()));
  server.get(YAML_PATH, async (_request, reply) =>
    reply.type(`${YAML_TYPE}; charset=utf-8`).send(await (yaml ??= toYaml(document()))),
  );
  void server.register(swaggerUi, { prefix: UI_PATH });
}

async function toYaml(json: string): Promise<string> {
  const { dump } = await import('js-yaml');
  return dump(JSON.parse(json), { noRefs: true, lineWidth: 120 });
}

async function swaggerUi(scope: FastifyInstance): Promise<void> {
  scope.addHook('onRequest', async (_request: FastifyRequest, reply: FastifyReply) => {
    void reply.header('content-security-policy', UI_POLICY);
  });
  scope.get('/', (request, reply) =>
    reply.type('text/html; charset=utf-8').send(page(pathOf(request).endsWith('/') ? '.' : `.${UI_PATH}`)),
  );
  scope.get('/start.js', (_request, reply) => reply.type('text/javascript; charset=utf-8').send(START));
  scope.get('/page.css', (_request, reply) => reply.type('text/css; charset=utf-8').send(STYLE));
  await scope.register(fastifyStatic, {
    root: dirname(require.resolve('swagger-ui-dist/package.json', { paths: [require.resolve('@nestjs/swagger')] })),
    serve: false,
  });
  // Routes of their own, not the plugin's catch-all: what is not one of these files is a 404 like any other.
  for (const file of UI_FILES) scope.get(`/${file}`, (_request, reply) => reply.sendFile(file));
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0] as string;
}

/** `base` is where the page's files are, seen from the address that it was asked for at. */
function page(base: string): string {
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Orders SaaS API</title>
    <link rel="stylesheet" href="${base}/swagger-ui.css">
    <link rel="stylesheet" href="${base}/page.css">
    <link rel="icon" type="image/png" href="${base}/favicon-32x32.png" sizes="32x32">
    <link rel="icon" type="image/png" href="${base}/favicon-16x16.png" sizes="16x16">
  </head>
  <body>
    <div id="swagger-ui"></div>
    <script src="${base}/swagger-ui-bundle.js"></script>
    <script src="${base}/start.js"></script>
  </body>
</html>
`;
}

const START = `SwaggerUIBundle({
  url: new URL('..${JSON_PATH}', document.currentScript.src).href,
  dom_id: '#swagger-ui',
  presets: [SwaggerUIBundle.presets.apis],
  deepLinking: true,
  displayRequestDuration: true,
  persistAuthorization: true,
  requestSnippetsEnabled: true,
  validatorUrl: null,
});
`;

const STYLE = 'body { margin: 0; background: #fafafa; }\n';

/** How the documents describe themselves. */
export const DOCUMENT_SECTION: Section = {
  name: 'Documents',
  description: 'This description, for programs and for people. Not there where `DOCS_ENABLED` is `false`.',
};

export const DOCUMENT_ROUTE: Route = {
  section: DOCUMENT_SECTION,
  public: 'unlimited',
  idempotent: false,
  ifMatch: false,
  ifNoneMatch: false,
  problems: [],
};

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

const EXCERPT = { openapi: '3.1.0', info: { title: 'Orders SaaS API', version: '1.0.0' }, paths: {} };

/** The documents' own paths. */
export const DOCUMENT_PATHS: Record<string, PathItem> = {
  [JSON_PATH]: get(
    'getOpenApiJson',
    'This document as JSON',
    'OpenAPI 3.1, for generators of clients.',
    'application/json',
    { type: 'object', description: 'An OpenAPI 3.1 document.' },
    EXCERPT,
  ),
  [YAML_PATH]: get(
    'getOpenApiYaml',
    'This document as YAML',
    'The same as `/openapi.json`.',
    YAML_TYPE,
    { type: 'string', description: 'An OpenAPI 3.1 document.' },
    'openapi: 3.1.0\ninfo:\n  title: Orders SaaS API\n  version: 1.0.0\npaths: {}\n',
  ),
  [UI_PATH]: get(
    'getDocs',
    'Swagger UI',
    'This document as a page, to read and to try out.',
    'text/html',
    { type: 'string', description: 'A page.' },
    '<!doctype html>…',
  ),
};
