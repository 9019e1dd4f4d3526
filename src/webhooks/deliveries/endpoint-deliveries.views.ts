import { ApiProperty, ApiSchema } from '@nestjs/swagger';

export const TIME = '2026-01-31T12:00:00.000Z';
export const MAX_DAYS = 31;

@ApiSchema({ description: 'How many deliveries are sent again.' })
export class RecoveredView {
  @ApiProperty({ type: 'integer', minimum: 0, description: 'Deliveries that are due again.', example: 42 })
  count: number;
}

const LATENCY_DOC = { type: 'integer', nullable: true, minimum: 0 } as const;

@ApiSchema({ description: 'Durations of attempts, milliseconds; null without attempts.' })
export class LatencyView {
  @ApiProperty({ ...LATENCY_DOC, description: 'The median.', example: 85 })
  p50: number | null;

  @ApiProperty({ ...LATENCY_DOC, description: 'The 95th percentile.', example: 210 })
  p95: number | null;

  @ApiProperty({ ...LATENCY_DOC, description: 'The 99th percentile.', example: 480 })
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

  @ApiProperty({ type: LatencyView, description: 'Their durations.' })
  latency_ms: LatencyView;
}

@ApiSchema({ description: 'The statistics of an endpoint.' })
export class StatsView {
  @ApiProperty({
    type: [HourView],
    maxItems: MAX_DAYS * 24 + 1,
    description: 'Every hour of the time, the oldest first; one without attempts has zeros.',
  })
  data: HourView[];
}
