/** `GET /`: a description of this address, for people and programs. */
import type { FastifyInstance } from 'fastify';
import type { PathItem } from './declarations';
import type { Product } from './product';
import { preferredType } from '../requests/accept';

const TYPES = ['text/html', 'application/json'] as const;

interface Link {
  name: string;
  path: string;
  text: string;
}
const HEALTH: Link = { name: 'health', path: '/health', text: 'Health' };
const DOCUMENTS: Link[] = [
  { name: 'docs', path: '/docs', text: 'Interactive documentation' },
  { name: 'openapi', path: '/openapi.json', text: 'OpenAPI document, for programs' },
];

/** Serves the page, or the same as JSON where `Accept` prefers that. */
export function serveRoot(server: FastifyInstance, product: Product, docsEnabled: boolean): void {
  const links = docsEnabled ? [...DOCUMENTS, HEALTH] : [HEALTH];
  server.get('/', (request, reply) => {
    const { publicPath } = request.server;
    void reply.header('vary', 'Accept');
    if (preferredType(request.headers.accept, TYPES) === 'application/json') {
      const urls = Object.fromEntries(links.map(({ name, path }) => [name, publicPath + path]));
      return reply.type('application/json; charset=utf-8').send(JSON.stringify({ name: product.title, ...urls }));
    }
    return reply.type('text/html; charset=utf-8').send(page(product, links, publicPath));
  });
}

function page({ title, tagline }: Product, links: readonly Link[], publicPath: string): string {
  const items = links.map(({ path, text }) => `      <li><a href="${publicPath}${path}">${text}</a></li>`);
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>${title}</title>
  </head>
  <body>
    <h1>${title}</h1>
    <p>${tagline} The API is below <code>${publicPath}/api/v1</code>.</p>
    <ul>
${items.join('\n')}
    </ul>
  </body>
</html>
`;
}

const link = (description: string, example: string) => ({
  type: 'string',
  format: 'uri-reference',
  maxLength: 300,
  description,
  example,
});

/** How the route describes itself. */
export function rootPath(section: string, title: string): Record<string, PathItem> {
  const example = { name: title, docs: '/docs', openapi: '/openapi.json', health: '/health' };
  return {
    '/': {
      get: {
        tags: [section],
        operationId: 'getRoot',
        summary: 'Describe the service',
        description: 'A page with links to the documents and to health; JSON where `Accept` prefers it.',
        responses: {
          200: {
            description: 'The page.',
            content: {
              'text/html': { schema: { type: 'string', description: 'A page.' }, example: '<!doctype html>…' },
              'application/json': {
                schema: {
                  type: 'object',
                  required: ['name', 'docs', 'openapi', 'health'],
                  properties: {
                    name: { type: 'string', maxLength: 100, description: 'Name of the service.', example: title },
                    docs: link('Swagger UI.', '/docs'),
                    openapi: link('This document.', '/openapi.json'),
                    health: link('Whether the service runs.', '/health'),
                  },
                },
                example,
              },
            },
          },
        },
      },
    },
  };
}
