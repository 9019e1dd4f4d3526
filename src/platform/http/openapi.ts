import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';

/** The OpenAPI 3.1 document of the application. */
export function buildDocument(app: INestApplication): OpenAPIObject {
  const builder = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('Orders SaaS API')
    .setDescription('Multi-tenant orders with signed webhooks.')
    .setVersion('1.0.0')
    .addBearerAuth();
  return SwaggerModule.createDocument(app, builder.build());
}

/** Serves Swagger UI at `/docs` and the document at `/openapi.json` and `/openapi.yaml`. */
export function serveDocs(app: INestApplication): void {
  SwaggerModule.setup('docs', app, () => buildDocument(app), {
    useGlobalPrefix: false,
    jsonDocumentUrl: 'openapi.json',
    yamlDocumentUrl: 'openapi.yaml',
    swaggerOptions: { persistAuthorization: true },
  });
}
