import { Controller, Get, Inject, Res } from '@nestjs/common';
import {
  ApiOkResponse,
  ApiOperation,
  ApiProperty,
  ApiSchema,
  ApiServiceUnavailableResponse,
  getSchemaPath,
} from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import type { Logger } from 'pino';
import { DatabaseHealth } from '../database/health';
import { LOGGER } from '../observability/logger.module';
import { Unavailable } from '../errors';
import { Public } from './caller';
import { ApiSection } from './openapi-declarations';

@ApiSchema({ description: 'The process answers.' })
class Health {
  @ApiProperty({ enum: ['ok'], description: 'Always `ok`.', example: 'ok' })
  status: 'ok';
}

@ApiSchema({ description: 'Whether requests can be served, and what stands in the way.' })
class Readiness {
  @ApiProperty({ enum: ['ok', 'unavailable'], description: '`ok` where every check is.', example: 'ok' })
  status: 'ok' | 'unavailable';

  @ApiProperty({
    description: 'What was looked at, and `ok` or what is wrong with it.',
    type: 'object',
    additionalProperties: { type: 'string', maxLength: 1000 },
    maxProperties: 20,
    example: { database: 'ok', migrations: 'ok' },
  })
  checks: Record<string, string>;
}

const DATABASE_PATIENCE_MS = 2_000;

@ApiSection('Health', 'For orchestrators and balancers. At the root, without a credential, and never counted.')
@Controller('health')
export class HealthController {
  constructor(
    private readonly database: DatabaseHealth,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  @Get()
  @Public('unlimited')
  @ApiOperation({ operationId: 'getHealth', summary: 'Is the process up?', description: 'Touches nothing else.' })
  @ApiOkResponse({ type: Health, description: 'It is.' })
  health(): Health {
    return { status: 'ok' };
  }

  @Get('live')
  @Public('unlimited')
  @ApiOperation({
    operationId: 'getLiveness',
    summary: 'Liveness',
    description: 'For an orchestrator: restart on failure.',
  })
  @ApiOkResponse({ type: Health, description: 'The process answers.' })
  live(): Health {
    return { status: 'ok' };
  }

  @Get('ready')
  @Public('unlimited')
  @ApiOperation({
    operationId: 'getReadiness',
    summary: 'Readiness',
    description: 'For a balancer: send requests only while this is 200. Looks at the database and its migrations.',
  })
  @ApiOkResponse({ type: Readiness, description: 'Requests can be served.' })
  @ApiServiceUnavailableResponse({
    description: 'Requests cannot be served now; `checks` says why.',
    content: {
      'application/json': {
        schema: { $ref: getSchemaPath(Readiness) },
        example: { status: 'unavailable', checks: { database: 'unavailable' } },
      },
    },
  })
  async ready(@Res() reply: FastifyReply): Promise<void> {
    const checks: Record<string, string> = {};
    try {
      const pending = await withDeadline(this.database.pendingMigrations(), DATABASE_PATIENCE_MS);
      checks.database = 'ok';
      checks.migrations = pending.length === 0 ? 'ok' : `pending: ${pending.join(', ')}`;
    } catch (error) {
      this.logger.warn({ err: error }, 'not ready');
      checks.database = 'unavailable';
    }
    const ready = Object.values(checks).every((state) => state === 'ok');
    void reply
      .status(ready ? 200 : 503)
      .headers({ 'content-type': 'application/json; charset=utf-8', ...(ready ? {} : { 'retry-after': '1' }) })
      .send(JSON.stringify({ status: ready ? 'ok' : 'unavailable', checks }));
  }
}

async function withDeadline<T>(work: Promise<T>, milliseconds: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Unavailable('no answer within the deadline')), milliseconds);
  });
  try {
    return await Promise.race([work, deadline]);
  } finally {
    clearTimeout(timer);
  }
}
