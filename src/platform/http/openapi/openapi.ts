/**
 * The OpenAPI 3.1 document. Controllers declare operation ids, summaries, descriptions and DTOs. Security, headers,
 * problems and examples are derived from the application's own metadata (guards, arguments, limits, status codes), so
 * that no route repeats them and none can forget them.
 *
 * The flow: `@nestjs/swagger` scans the controllers → each operation is completed (`operations.ts`) → schemas get their
 * public names and request schemas are closed to unknown fields → components are sorted. It is built at the first
 * request of a document (`documents.ts`), not at the start.
 */
import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import {
  type Components,
  type DocumentPart,
  type Operation,
  type PathItem,
  type Schema,
  type Section,
} from './declarations';
import { resolve } from './examples';
import { guide } from './guide';
import { headerComponents, PARAMETERS } from './headers';
import { describe } from './operations';
import { ProblemResponses } from './problem-responses';
import type { Product } from './product';
import { routesOf } from './routes';
import { Config } from '../../config/config';
import { publicUrl } from '../public-url';
import { DOCUMENT_SECTION, documentPaths, documentRoute, serveDocuments } from './documents';

const METHODS = ['get', 'put', 'post', 'patch', 'delete'] as const;

/** The document of the application, with the additions of features. */
function buildDocument(app: INestApplication, product: Product, parts: readonly DocumentPart[] = []): OpenAPIObject {
  const added = parts.map((part) => part());
  const scanned = SwaggerModule.createDocument(app, settings(product, app.get(Config, { strict: false })), {
    extraModels: added.flatMap((part) => part.models ?? []),
  });
  const components: Components = {
    ...scanned.components,
    schemas: { ...scanned.components?.schemas },
    headers: headerComponents(product.sample),
    parameters: PARAMETERS,
  };
  const problems = new ProblemResponses(components, product.sample);
  const routes = routesOf(app);
  const sections = new Map<string, Section>();
  for (const [path, item] of Object.entries(scanned.paths)) {
    for (const [method, operation] of operationsOf(item)) {
      const route = routes.get(operation.operationId as string);
      if (!route?.section) throw new Error(`${method} ${path} is in no section of the document (@ApiSection)`);
      sections.set(route.section.name, route.section);
      item[method] = describe(operation, route, path, methodsOf(item), components, problems);
    }
  }
  const documents = documentPaths(product);
  for (const [path, item] of Object.entries(documents)) {
    for (const [method, operation] of operationsOf(item)) {
      item[method] = describe(operation, documentRoute(path), path, methodsOf(item), components, problems);
    }
  }
  const { '/': root, ...others } = documents;
  const paths = { ...(root && { '/': root }), ...scanned.paths, ...others };
  closeRequests(paths, components);
  const messages = Object.assign({}, ...added.map((part) => part.messages ?? {})) as Record<string, PathItem>;
  const enums = Object.assign({}, ...added.map((part) => part.enums ?? {})) as NonNullable<Part['enums']>;
  for (const [name, { values, description }] of Object.entries(enums)) {
    (components.schemas ??= {})[name] = { type: 'string', enum: [...values], description };
  }
  const document = withPublicNames({
    ...scanned,
    tags: [...sections.values(), ...added.flatMap((part) => part.sections ?? []), DOCUMENT_SECTION],
    paths,
    ...(Object.keys(messages).length > 0 ? { webhooks: messages } : {}),
    components: sorted(components),
  });
  return withNamedEnums(document, enums);
}

/** Serves the document at `/openapi.json` and `/openapi.yaml`, and Swagger UI at `/docs`. */
export function serveDocs(app: INestApplication, product: Product, parts: readonly DocumentPart[] = []): void {
  const build = (): OpenAPIObject => buildDocument(app, product, parts);
  serveDocuments(app, product.title, build, publicUrl(app.get(Config, { strict: false })));
}

function settings(product: Product, config: Config): Omit<OpenAPIObject, 'paths'> {
  const settings = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle(product.title)
    .setDescription(guide(product))
    .setVersion('1.0.0')
    .addServer(publicUrl(config) ?? '/', 'The server of this document.')
    .addBearerAuth({
      type: 'http',
      scheme: 'bearer',
      bearerFormat: 'JWT',
      description: 'The `access_token` of `POST /api/v1/auth/register`, `/login` or `/refresh`.',
    })
    .addSecurityRequirements('bearer')
    .build();
  const license = { name: 'Proprietary', identifier: 'LicenseRef-Proprietary' };
  const { contact: _none, ...info } = settings.info;
  return { ...settings, info: { ...info, summary: product.summary, license } as OpenAPIObject['info'] };
}

function operationsOf(item: PathItem): [(typeof METHODS)[number], Operation][] {
  return METHODS.flatMap((method) => (item[method] ? [[method, item[method]]] : []));
}

/** Fastify serves HEAD wherever there is a GET. */
function methodsOf(item: PathItem): string[] {
  return operationsOf(item).flatMap(([method]) => (method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()]));
}

/** Request schemas refuse unknown fields, at every depth. Response schemas stay open to new fields. */
function closeRequests(paths: OpenAPIObject['paths'], components: Components): void {
  const seen = new Set<Schema>();
  const close = (given: Schema | { $ref: string } | undefined): void => {
    if (!given) return;
    const schema = resolve(given, components);
    if (seen.has(schema)) return;
    seen.add(schema);
    if (schema.properties) schema.additionalProperties ??= false;
    Object.values(schema.properties ?? {}).forEach(close);
    close(schema.items);
    [...(schema.oneOf ?? []), ...(schema.anyOf ?? []), ...(schema.allOf ?? [])].forEach(close);
  };
  for (const item of Object.values(paths)) {
    for (const [, { requestBody }] of operationsOf(item)) {
      if (requestBody && 'content' in requestBody)
        Object.values(requestBody.content).forEach((media) => close(media.schema));
    }
  }
}

/** The public names drop the endings: `ReportView` is `Report`, `CreateReportDto` is `CreateReport`. */
function withPublicNames(document: OpenAPIObject): OpenAPIObject {
  const publicName = (name: string): string => name.replace(/(View|Dto)$/, '');
  const names = Object.keys(document.components?.schemas ?? {}).map(publicName);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice) throw new Error(`two classes would be the schema ${twice}`);
  const prefix = '#/components/schemas/';
  const renamed = JSON.parse(JSON.stringify(document), (key, value: unknown) =>
    key === '$ref' && typeof value === 'string' && value.startsWith(prefix)
      ? prefix + publicName(value.slice(prefix.length))
      : value,
  ) as OpenAPIObject;
  const schemas = Object.entries(renamed.components?.schemas ?? {}).map(([name, schema]) => [publicName(name), schema]);
  return { ...renamed, components: sorted({ ...renamed.components, schemas: Object.fromEntries(schemas) }) };
}

type Part = ReturnType<DocumentPart>;

/** Refers to the name of a list of values wherever it stands; its description there stays beside the reference. */
function withNamedEnums(document: OpenAPIObject, enums: NonNullable<Part['enums']>): OpenAPIObject {
  const names = new Map(Object.entries(enums).map(([name, { values }]) => [JSON.stringify(values), name]));
  return JSON.parse(JSON.stringify(document), (key, value: unknown) => {
    const { type, enum: values, ...others } = (value ?? {}) as { type?: unknown; enum?: unknown };
    const name = type === 'string' && Array.isArray(values) ? names.get(JSON.stringify(values)) : undefined;
    return name === undefined || name === key ? value : { $ref: `#/components/schemas/${name}`, ...others };
  }) as OpenAPIObject;
}

function sorted(components: Components): Components {
  const byName = ([a]: [string, unknown], [b]: [string, unknown]): number => (a < b ? -1 : 1);
  return Object.fromEntries(
    Object.entries(components)
      .sort(byName)
      .map(([kind, entries]) => [kind, Object.fromEntries(Object.entries(entries as object).sort(byName))]),
  );
}
