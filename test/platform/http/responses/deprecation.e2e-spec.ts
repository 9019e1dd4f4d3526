import { Controller, Get, HttpCode, Module, Post } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import pino from 'pino';
import { ApiModule } from '../../../../src/processes/api/api.module';
import { loadConfig } from '../../../../src/platform/config/config';
import { Public, Requires } from '../../../../src/platform/http/requests/caller';
import { Deprecated } from '../../../../src/platform/http/responses/deprecation';
import { JsonPage } from '../../../../src/platform/http/responses/results';
import { serveDocs } from '../../../../src/platform/http/openapi/openapi';
import { PRODUCT } from '../../../../src/processes/api/product';
import { ApiSection } from '../../../../src/platform/http/openapi/declarations';
import { RequestLog } from '../../../../src/platform/http/server/request-log';
import { API_PREFIX } from '../../../../src/platform/http/api-prefix';
import { createAdapter, prepareServer } from '../../../../src/platform/http/server/server';
import { Metrics } from '../../../../src/platform/observability/metrics';
import { listen } from '../../../../src/processes/lifecycle';
import { ApiClient } from '../../../harness/client';
import { createTestDatabase, type TestDatabase } from '../../../harness/databases';
import { JWT_SECRET } from '../../../harness/service';

/** The routes of an older client: one that will be removed, one that stays, one that is removed. */
@ApiSection('Old', 'Routes of an older version.')
@Controller('old')
class OldController {
  @Get('totals')
  @Public()
  @Deprecated({ since: '2026-11-01', sunset: '2027-06-30', link: '/docs#/Orders' })
  @ApiOperation({ operationId: 'getOldTotals', summary: 'Totals, as they were' })
  @ApiOkResponse({ description: 'They are.' })
  totals(): object {
    return { totals: [] };
  }

  @Post('totals')
  @HttpCode(200)
  @Public()
  @ApiOperation({ operationId: 'makeOldTotals', summary: 'Not deprecated' })
  @ApiOkResponse({ description: 'Done.' })
  make(): object {
    return {};
  }

  @Get('pages')
  @Public()
  @Deprecated({ since: '2026-11-01', sunset: '2027-06-30', link: '/docs#/Orders' })
  @ApiOperation({ operationId: 'getOldPages', summary: 'A page, as they were' })
  @ApiOkResponse({ description: 'It is.' })
  pages(): JsonPage {
    return new JsonPage('{"data":[]}', 'next');
  }

  @Get('secrets')
  @Requires('orders:read')
  @Deprecated({ since: '2026-11-01', sunset: '2027-06-30', link: '/docs#/Orders' })
  @ApiOperation({ operationId: 'getOldSecrets', summary: 'For who may' })
  @ApiOkResponse({ description: 'They are.' })
  secrets(): object {
    return {};
  }
}

const NOTICE = {
  deprecation: '@1793491200',
  sunset: 'Wed, 30 Jun 2027 00:00:00 GMT',
  link: '</docs#/Orders>; rel="deprecation"; type="text/html"',
};

describe('a deprecated route', () => {
  let database: TestDatabase;
  let app: NestFastifyApplication;
  let client: ApiClient;

  beforeAll(async () => {
    database = await createTestDatabase();
    const config = loadConfig({ PORT: '0', DATABASE_URL: database.serviceUrl, JWT_SECRET, DB_POOL_SIZE: '8' });
    const logger = pino({ level: 'silent' });
    const metrics = new Metrics('api');
    const records = new RequestLog(logger, metrics);

    @Module({ imports: [ApiModule.forRoot(config, logger, metrics)], controllers: [OldController] })
    class WithOldRoutes {}

    const adapter = createAdapter(config, logger, records);
    app = await NestFactory.create<NestFastifyApplication>(WithOldRoutes, adapter, {
      logger: false,
      bodyParser: false,
    });
    app.setGlobalPrefix(API_PREFIX, { exclude: ['health', 'health/live', 'health/ready'] });
    prepareServer(app, config, records);
    serveDocs(app, PRODUCT, []);
    await app.init();
    client = new ApiClient(await listen(app, config));
  });

  afterAll(async () => {
    await app.close();
    await database.drop();
  });

  const notice = (headers: Headers): object => ({
    deprecation: headers.get('deprecation'),
    sunset: headers.get('sunset'),
    link: headers.get('link'),
  });

  it('names the dates of its deprecation and end, on success and on refusal', async () => {
    const served = await client.get('/old/totals', { origin: 'http://localhost:3000' });
    expect(served).toMatchObject({ status: 200, body: { totals: [] } });
    expect(notice(served.headers)).toEqual(NOTICE);
    expect(served.headers.get('access-control-expose-headers')?.split(/,\s*/)).toEqual(
      expect.arrayContaining(['Deprecation', 'Sunset']),
    );
    const refused = await client.get('/old/secrets');
    expect(refused.status).toBe(401);
    expect(notice(refused.headers)).toEqual(NOTICE);
  });

  it('keeps the link to the next page beside the link to its successor', async () => {
    const { headers } = await client.get('/old/pages');
    expect(headers.get('link')).toBe(`${NOTICE.link}, </api/v1/old/pages?cursor=next>; rel="next"`);
  });

  it('leaves the others alone', async () => {
    for (const response of [
      await client.post('/old/totals', {}),
      await client.get('/health'),
      await client.get('/orders'),
    ]) {
      expect(notice(response.headers)).toEqual({ deprecation: null, sunset: null, link: null });
    }
  });

  it('is deprecated in the document, which describes the headers', async () => {
    const { paths } = (await client.get('/openapi.json')).body;
    const { get, post } = paths['/api/v1/old/totals'];
    expect(get.deprecated).toBe(true);
    expect(get.responses['200'].headers).toMatchObject({
      Deprecation: { example: NOTICE.deprecation },
      Sunset: { example: NOTICE.sunset },
      Link: { example: NOTICE.link },
    });
    expect(post).not.toHaveProperty('deprecated');
    expect(Object.keys(post.responses['200'].headers)).not.toContain('Sunset');
  });

  it('cannot be declared with less notice than clients are promised, or with a day that is none', () => {
    const link = '/docs';
    expect(() => Deprecated({ since: '2026-11-01', sunset: '2027-01-01', link })).toThrow('180 days');
    expect(() => Deprecated({ since: '2026-11-01', sunset: 'next year', link })).toThrow("'next year' is no day");
    expect(() => Deprecated({ since: '2026-11-01', sunset: '2027-06-30', link: '/a>, <b' })).toThrow(
      'is no valid link',
    );
  });
});
