/**
 * Swagger UI: a page and its files, as a plugin of Fastify. The files come from Swagger UI's own package. The page has
 * no inline script or style, so that its policy can forbid them.
 */
import { dirname } from 'node:path';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

import { START, STYLE } from './swagger-ui-page';

export const UI_PATH = '/docs';

/** The page may run and show its own files, and call this server, by its public address too. */
const policy = (calls: string): string =>
  [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    `connect-src 'self'${calls}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join(';');

const PACKAGE_FILES = ['swagger-ui.css', 'swagger-ui-bundle.js', 'favicon-16x16.png', 'favicon-32x32.png'];
const OWN_FILES: Record<string, [mediaType: string, text: string]> = {
  'start.js': ['application/javascript', START],
  'page.css': ['text/css', STYLE],
};
/** Every file of the page. */
export const UI_FILES = [...PACKAGE_FILES, ...Object.keys(OWN_FILES)];

/** Serves the page and its files below {@link UI_PATH}. */
export async function swaggerUi(
  scope: FastifyInstance,
  { title, calls }: { title: string; calls?: string },
): Promise<void> {
  const uiPolicy = policy(calls === undefined ? '' : ` ${calls}`);
  scope.addHook('onRequest', async (_request: FastifyRequest, reply: FastifyReply) => {
    void reply.header('content-security-policy', uiPolicy);
  });
  const config = { document: true } as const;
  scope.get('/', { config }, (request, reply) =>
    reply.type('text/html; charset=utf-8').send(page(title, pathOf(request).endsWith('/') ? '.' : `.${UI_PATH}`)),
  );
  for (const [file, [mediaType, text]] of Object.entries(OWN_FILES)) {
    scope.get(`/${file}`, { config }, (_request, reply) => reply.type(`${mediaType}; charset=utf-8`).send(text));
  }
  await scope.register(fastifyStatic, {
    root: packageFolder(),
    serve: false,
  });
  // Routes of their own, not the plugin's catch-all: any other path is a regular 404.
  for (const file of PACKAGE_FILES) scope.get(`/${file}`, { config }, (_request, reply) => reply.sendFile(file));
}

/** @nestjs/swagger depends on the package; the image contains its files beside the bundle. */
function packageFolder(): string {
  const name = 'swagger-ui-dist/package.json';
  try {
    return dirname(require.resolve(name, { paths: [require.resolve('@nestjs/swagger')] }));
  } catch {
    return dirname(require.resolve(name));
  }
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0] as string;
}

/** `base` is the path of the page's files, relative to the requested address. */
function page(title: string, base: string): string {
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>${title}</title>
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
