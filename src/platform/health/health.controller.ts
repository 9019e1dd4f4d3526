import { Controller, Get, Query } from '@nestjs/common';
import {
  ApiOkResponse,
  ApiOperation,
  ApiProperty,
  ApiSchema,
  ApiServiceUnavailableResponse,
  getSchemaPath,
} from '@nestjs/swagger';
import { RouteConfig } from '@nestjs/platform-fastify';
import { EXCLUSIONS, type Exclusion, Readiness, type ReadinessReport } from './readiness';
import { Public } from '../http/requests/caller';
import { ChoiceField } from '../http/requests/fields';
import { ApiSection } from '../http/openapi/declarations';
import { WithStatus } from '../http/responses/results';

const REPORT_EVERY_MS = 1_000;

@ApiSchema({ description: 'The process responds.' })
class Health {
  @ApiProperty({ enum: ['ok'], description: 'Always `ok`.', example: 'ok' })
  status: 'ok';
}

@ApiSchema({ name: 'Readiness', description: 'Whether requests can be served, and the reasons if not.' })
class ReadinessAnswer {
  @ApiProperty({ enum: ['ok', 'unavailable'], description: '`ok` if every check is.', example: 'ok' })
  status: 'ok' | 'unavailable';

  @ApiProperty({
    description: 'Each check, with `ok` or its fault.',
    type: 'object',
    additionalProperties: { type: 'string', maxLength: 1000 },
    maxProperties: 20,
    example: { database: 'ok', migrations: 'ok' },
  })
  checks: Record<string, string>;
}

class ReadinessQuery {
  @ChoiceField({
    description:
      'Checks to omit. Without the queue requests are served, and its jobs run later; without the ' +
      'database the result shows whether this process can serve: a balancer without another target uses ' +
      '`database,queue`.',
    values: EXCLUSIONS,
    optional: true,
    example: 'queue',
  })
  exclude?: Exclusion;
}

@ApiSection(
  'Health',
  'For orchestrators and balancers, at the root and without a credential. Readiness has an allowance of its own for each address, the others are never counted.',
)
@Controller('health')
export class HealthController {
  private readonly reports = new Map<Exclusion | undefined, { report: Promise<ReadinessReport>; at: number }>();

  constructor(private readonly readiness: Readiness) {}

  @Get()
  @Public('unlimited')
  @ApiOperation({ operationId: 'getHealth', summary: 'Is the process up?', description: 'Checks no dependency.' })
  @ApiOkResponse({ type: Health, description: 'The process is up.' })
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
  @ApiOkResponse({ type: Health, description: 'The process responds.' })
  live(): Health {
    return { status: 'ok' };
  }

  @Get('ready')
  @Public('limited')
  @RouteConfig({ probed: true })
  @ApiOperation({
    operationId: 'getReadiness',
    summary: 'Readiness',
    description:
      'For a balancer: send requests only while this is 200. Checks the database and its migrations, the ' +
      'queue, and whether the process is stopping.',
  })
  @ApiOkResponse({ type: ReadinessAnswer, description: 'Requests can be served.' })
  @ApiServiceUnavailableResponse({
    description: 'Requests cannot be served now; `checks` has the reasons.',
    content: {
      'application/json': {
        schema: { $ref: getSchemaPath(ReadinessAnswer) },
        example: { status: 'unavailable', checks: { database: 'unavailable' } },
      },
    },
  })
  async ready(@Query() { exclude }: ReadinessQuery): Promise<ReadinessReport | WithStatus> {
    const report = await this.newest(exclude);
    return report.status === 'ok' ? report : new WithStatus(503, report, { 'retry-after': '1' });
  }

  /** A report that is at most a second old: it bounds the checks of dependencies for any number of requests. */
  private newest(exclude: Exclusion | undefined): Promise<ReadinessReport> {
    const now = performance.now();
    const known = this.reports.get(exclude);
    if (known && now - known.at < REPORT_EVERY_MS && !this.readiness.isStopping) return known.report;
    const report = this.readiness.report(exclude);
    this.reports.set(exclude, { report, at: now });
    return report;
  }
}
