import { SwaggerModule } from '@nestjs/swagger';
import { load } from 'js-yaml';
import type { ApiResponse } from '../../../harness/client';
import { expectGolden } from '../../../harness/golden';
import { follow, operationsOf, type OpenApiDocument } from '../../../harness/openapi';
import { STATUS_OF_PROBLEM } from '../../../harness/problems';
import { startService, type TestService } from '../../../harness/service';

describe('the OpenAPI document', () => {
  let service: TestService;
  let reply: ApiResponse<OpenApiDocument>;
  let document: OpenApiDocument;

  beforeAll(async () => {
    service = await startService();
    reply = await service.client.get('/openapi.json');
    document = reply.body;
  });
  afterAll(() => service.stop());

  it('equals the golden file', () => {
    expectGolden('openapi.json', `${JSON.stringify(document, null, 2)}\n`);
  });

  it('is OpenAPI 3.1 as JSON', () => {
    expect(reply.status).toBe(200);
    expect(reply.headers.get('content-type')).toBe('application/json; charset=utf-8');
    expect(document.openapi).toBe('3.1.0');
  });

  it('is the same as YAML', async () => {
    const yaml = await service.client.get('/openapi.yaml');
    expect(yaml.status).toBe(200);
    expect(yaml.headers.get('content-type')).toBe('application/yaml; charset=utf-8');
    expect(load(yaml.text)).toEqual(document);
  });

  it('writes its paths in full, against the server it came from', () => {
    expect(document.servers).toEqual([expect.objectContaining({ url: '/' })]);
    const outside = Object.keys(document.paths).filter((path) => !path.startsWith('/api/v1/'));
    expect(outside).toEqual([
      '/',
      '/health',
      '/health/live',
      '/health/ready',
      '/.well-known/audit-keys.json',
      '/openapi.json',
      '/openapi.yaml',
      '/docs',
      '/docs/{file}',
    ]);
  });

  it('explains every kind of problem', () => {
    const { description } = document.info as { description: string };
    for (const [slug, status] of Object.entries(STATUS_OF_PROBLEM)) {
      expect(description).toContain(`| \`${slug}\` | ${status} |`);
    }
  });

  it('shows every kind of problem, with its status and an example, somewhere', () => {
    const shown = new Map<string, number>();
    for (const { responses } of operationsOf(document)) {
      for (const response of Object.values(responses)) {
        const media = response.content?.['application/problem+json'];
        const examples = Object.values(media?.examples ?? {}).map((example) => follow(document, example).value);
        for (const example of [...examples, media?.example]) {
          const problem = example as { type: string; status: number } | undefined;
          if (problem) shown.set(problem.type, problem.status);
        }
      }
    }
    // No route has single sign-on yet.
    const { sso_link_required: _, ...expected } = STATUS_OF_PROBLEM;
    expect(Object.fromEntries(shown)).toEqual(expected);
  });

  it('closes every object of a request to unknown fields', () => {
    const open: string[] = [];
    const visit = (given: Record<string, unknown>, at: string): void => {
      const schema = follow(document, given) as Record<string, Record<string, unknown>>;
      if (schema.properties && schema.additionalProperties === undefined) open.push(at);
      for (const [name, inner] of Object.entries(schema.properties ?? {})) visit(inner as never, `${at}.${name}`);
      if (schema.items) visit(schema.items, `${at}[]`);
    };
    for (const { name, requestSchema } of operationsOf(document)) if (requestSchema) visit(requestSchema, name);
    expect(open).toEqual([]);
  });

  it('has an example for every body', () => {
    const without = operationsOf(document).filter(({ requestSchema, body }) => requestSchema && body === undefined);
    expect(without.map(({ name }) => name)).toEqual([]);
  });

  it('describes every parameter, and fills in each required one that is no id', () => {
    interface Documented {
      name: string;
      required?: boolean;
      description?: string;
      example?: unknown;
      schema: { format?: string; enum?: unknown[] };
    }
    const parameters = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.values(item).flatMap((operation) =>
        ((operation.parameters ?? []) as object[]).map((parameter) => ({
          path,
          ...(follow(document, parameter) as Documented),
        })),
      ),
    );
    expect(parameters.length).toBeGreaterThan(50);
    const nameOf = ({ path, name }: { path: string; name: string }) => `${path} ${name}`;
    expect(parameters.filter(({ description }) => !description).map(nameOf)).toEqual([]);
    const empty = parameters.filter(
      ({ required, example, schema }) =>
        required && example === undefined && schema.format !== 'uuid' && schema.enum === undefined,
    );
    expect(empty.map(nameOf)).toEqual([]);
  });
});

describe('a service without a request for its document', () => {
  it('has not built it', async () => {
    const service = await startService();
    try {
      const build = jest.spyOn(SwaggerModule, 'createDocument');
      await service.tenant();
      expect(build).not.toHaveBeenCalled();
      for (const path of ['/openapi.json', '/openapi.yaml', '/openapi.json']) await service.client.get(path);
      expect(build).toHaveBeenCalledTimes(1);
      build.mockRestore();
    } finally {
      await service.stop();
    }
  });
});
