import { Controller, Get } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiProperty, ApiSchema } from '@nestjs/swagger';
import { ApiSection } from '../../platform/http/openapi/declarations';
import { type Caller, CurrentCaller, Requires } from '../../platform/http/requests/caller';
import { UsageMeters, type UsageReading } from '../../platform/usage/usage-meters';

@ApiSchema({ name: 'UsageReading', description: 'Something that is counted of a tenant.' })
class UsageReadingView implements UsageReading {
  @ApiProperty({ maxLength: 100, description: 'The name of the meter.', example: 'webhook_endpoints' })
  name: string;

  @ApiProperty({ type: 'integer', minimum: 0, description: 'How much is used.', example: 12 })
  used: number;

  @ApiProperty({
    type: 'integer',
    minimum: 0,
    nullable: true,
    description: 'The limit; null without one.',
    example: 1000,
  })
  limit: number | null;

  @ApiProperty({
    type: 'string',
    format: 'date-time',
    nullable: true,
    description: 'When a daily amount is reset; null for a count.',
    example: null,
  })
  resets_at: string | null;
}

@ApiSchema({ description: 'The usage of a tenant, meter by meter.' })
class UsageView {
  @ApiProperty({ type: [UsageReadingView], maxItems: 100, description: 'The meters.' })
  data: UsageReadingView[];
}

@ApiSection('Tenant', 'The company: its name, its policies, its usage.')
@Controller('tenant/usage')
export class UsageController {
  constructor(private readonly meters: UsageMeters) {}

  @Get()
  @Requires('tenant:manage')
  @ApiOperation({
    operationId: 'getTenantUsage',
    summary: "Get the tenant's usage",
    description:
      "Endpoints, event types, today's amounts, stored rows: usage, limit, and time of reset. A count above " +
      'its limit is 422, a daily amount 429 until midnight UTC. Limits are lower in the first day of a tenant.',
  })
  @ApiOkResponse({ type: UsageView, description: 'The meters.' })
  async read(@CurrentCaller() caller: Caller): Promise<UsageView> {
    return { data: await this.meters.read(caller) };
  }
}
