import {
  ChoiceField,
  CursorField,
  PageLimitField,
  QueryIntegerField,
  TextField,
  TimeField,
} from '../platform/http/requests/fields';
import { MOST } from './audit.views';

/** Filters that the list and the export share. */
export class AuditFilters {
  @TextField({
    description: 'Entries of this actor.',
    max: 512,
    optional: true,
    example: '0198c0de-7a11-7000-8000-0000000000aa',
  })
  actor_id?: string;

  @TextField({ description: 'Entries of this action.', max: 512, optional: true, example: 'webhook_endpoint.updated' })
  action?: string;

  @TextField({
    description: 'Entries with this kind of target.',
    max: 512,
    optional: true,
    example: 'webhook_endpoint',
  })
  target_type?: string;

  @TextField({
    description: 'Entries with this target.',
    max: 512,
    optional: true,
    example: '0198c0de-7a11-7000-8000-0000000000b1',
  })
  target_id?: string;

  @TimeField({ description: 'Entries from this time on.', optional: true, example: '2026-01-01T00:00:00.000Z' })
  since?: Date;

  @TimeField({ description: 'Entries before this time.', optional: true, example: '2026-02-01T00:00:00.000Z' })
  until?: Date;
}

export class ListAuditDto extends AuditFilters {
  @PageLimitField()
  limit: number = 20;

  @CursorField()
  cursor?: string;
}

export class ExportAuditDto extends AuditFilters {
  @ChoiceField({
    description: 'One JSON object per line, or comma-separated values with a header line.',
    values: ['ndjson', 'csv'],
    default: 'ndjson',
    optional: true,
    example: 'ndjson',
  })
  format: 'ndjson' | 'csv' = 'ndjson';
}

export class ProofDto {
  @QueryIntegerField({
    description: 'The size of the tree: the size of a checkpoint (default: the newest).',
    min: 1,
    max: MOST,
    optional: true,
    example: 42,
  })
  size?: number;
}

export class ConsistencyDto {
  @QueryIntegerField({ description: 'The size of the earlier tree.', min: 0, max: MOST, example: 1 })
  from: number;

  @QueryIntegerField({ description: 'The size of the later tree.', min: 0, max: MOST, example: 2 })
  to: number;
}
