import { ApiProperty, ApiSchema } from '@nestjs/swagger';

export const TIME = '2026-01-31T12:00:00.000Z';
export const MAX_DAYS = 31;

@ApiSchema({ description: 'How many deliveries are sent again.' })
export class RecoveredView {
  @ApiProperty({ type: 'integer', minimum: 0, description: 'Deliveries that are due again.', example: 42 })
  count: number;
}

const LATENCY_DOC = { type: 'integer', nullable: true, minimum: 0 } as const;

@ApiSchema({ description: 'How long attempts took, milliseconds; null without any.' })
export class LatencyView {
  @ApiProperty({ ...LATENCY_DOC, description: 'Half of them took no longer.', example: 85 })
  p50: number | null;

  @ApiProperty({ ...LATENCY_DOC, description: '95 % of them took no longer.', example: 210 })
  p95: number | null;

  @ApiProperty({ ...LATENCY_DOC, description: '99 % of them took no longer.', example: 480 })
  p99: number | null;
}

@ApiSchema({ description: "One hour of an endpoint's attempts." })
export class HourView {
  @ApiProperty({ format: 'date-time', description: 'When the hour began.', example: TIME })
  hour: string;

  @ApiProperty({ type: 'integer', minimum: 0, description: 'Attempts with a 2xx response.', example: 118 })
  succeeded: number;

  @ApiProperty({ type: 'integer', minimum: 0, description: 'Attempts that failed.', example: 2 })
  failed: number;

  @ApiProperty({ type: 'integer', minimum: 0, description: 'All attempts that began in this hour.', example: 120 })
  attempts: number;

  @ApiProperty({ type: LatencyView, description: 'How long they took.' })
  latency_ms: LatencyView;
}

@ApiSchema({ description: 'How an endpoint did.' })
export class StatsView {
  @ApiProperty({
    type: [HourView],
    maxItems: MAX_DAYS * 24 + 1,
    description: 'Every hour of the time, the oldest first; one without attempts has zeros.',
  })
  data: HourView[];
}
