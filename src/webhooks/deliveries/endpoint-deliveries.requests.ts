import { ApiSchema } from '@nestjs/swagger';
import type { FieldFault } from '../../platform/errors';
import type { CrossChecked } from '../../platform/http/requests/field-declaration';
import { TimeField } from '../../platform/http/requests/fields';
import { TIME, MAX_DAYS } from './endpoint-deliveries.views';

const LATER = '2026-01-31T18:00:00.000Z';
const DAY = 86_400_000;

@ApiSchema({ description: 'Which deliveries are sent again, by the time of their events.' })
export class RecoverDto implements CrossChecked {
  @TimeField({ description: 'From this time on.', example: TIME })
  since: Date;

  @TimeField({ description: 'Up to, and not including, this time; by default now.', optional: true, example: LATER })
  until?: Date;

  crossCheck(): FieldFault[] {
    return orderFaults(this);
  }
}

export class StatsDto implements CrossChecked {
  @TimeField({
    description: `The first hour is the one of this time; without it, the last 24 hours. At most ${MAX_DAYS} days.`,
    optional: true,
    example: TIME,
  })
  since?: Date;

  @TimeField({ description: 'The last hour begins before this time; by default now.', optional: true, example: LATER })
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
