import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import type { FieldFault } from '../../platform/errors';
import { type CrossChecked, TimeField } from '../../platform/http/requests/fields';

const TIME = '2026-01-31T12:00:00.000Z';
const LATER = '2026-01-31T18:00:00.000Z';
const DAY = 86_400_000;
const MAX_DAYS = 31;

@ApiSchema({ description: 'Which deliveries are sent again, by the time of their events.' })
export class RecoverDto implements CrossChecked {
  @TimeField({ description: 'From this time on.', example: TIME })
  since: Date;

  @TimeField({ description: 'Up to, and not including, this time; now if left out.', optional: true, example: LATER })
  until?: Date;

  crossCheck(): FieldFault[] {
    return orderFaults(this);
  }
}

@ApiSchema({ description: 'How many deliveries are sent again.' })
export class RecoveredView {
  @ApiProperty({ type: 'integer', minimum: 0, description: 'Deliveries that are due again.', example: 42 })
  count: number;
}

export class StatsDto implements CrossChecked {
  @TimeField({
    description: `The first hour is the one of this time; without it, 24 hours are told of. At most ${MAX_DAYS} days.`,
    optional: true,
    example: TIME,
  })
  since?: Date;

  @TimeField({ description: 'The last hour begins before this time; now if left out.', optional: true, example: LATER })
  until?: Date;

  crossCheck(): FieldFault[] {
    const faults = orderFaults(this);
    if (faults.length > 0 || !(this.since instanceof Date)) return faults;
    const until = this.until instanceof Date ? this.until : new Date();
    if (until.getTime() - this.since.getTime() <= MAX_DAYS * DAY) return [];
    return [{ field: 'since', message: `must be at most ${MAX_DAYS} days before until`, code: 'max_range' }];
  }
}

function orderFaults({ since, until }: { since?: Date; until?: Date }): FieldFault[] {
  if (!(since instanceof Date) || !(until instanceof Date) || since < until) return [];
  return [{ field: 'until', message: 'must be after since', code: 'after' }];
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

  @ApiProperty({ type: 'integer', minimum: 0, description: 'Attempts that were answered with 2xx.', example: 118 })
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
