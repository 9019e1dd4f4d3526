import type { Placements, RetentionRule, TenantTable } from '../platform/database/sql/tables';

const DAY_MS = 24 * 60 * 60 * 1000;

export const WEBHOOKS_PLACEMENTS: Placements = {
  webhook_event_types: 'distributed',
  webhook_endpoints: 'distributed',
  deliveries: 'distributed',
  delivery_attempts: 'distributed',
  webhook_shards: 'local',
};

/**
 * Events are deleted after their deliveries, and those after their attempts: the writer of an attempt locks its
 * delivery.
 */
export const WEBHOOKS_RETENTION: readonly RetentionRule[] = [
  {
    table: 'events',
    key: 'tenant_id, id',
    column: 'created_at',
    period: (config) => config.WEBHOOK_RETENTION_DAYS * DAY_MS,
    dependents: [
      { table: 'deliveries', key: 'id', id: 'id' },
      { table: 'delivery_attempts', key: 'delivery_id, number', id: 'delivery_id' },
    ],
  },
];

/** Secrets, headers and the queries of URLs are in no archive: they are credentials of receivers. */
export const WEBHOOKS_TENANT_TABLES: readonly TenantTable[] = [
  {
    table: 'delivery_attempts',
    key: { delivery_id: 'uuid', number: 'integer' },
    archived: [
      'delivery_id',
      'number',
      'endpoint_id',
      'started_at',
      'duration_ms',
      'response_status',
      'response_body',
      'error',
      'succeeded',
    ],
    omitted: [],
  },
  {
    table: 'deliveries',
    key: { id: 'uuid' },
    archived: [
      'id',
      'endpoint_id',
      'event_id',
      'event_type',
      'aggregate_id',
      'sequence',
      'status',
      'attempt_count',
      'next_attempt_at',
      'created_at',
      'completed_at',
    ],
    omitted: ['tries', 'requested_at'],
  },
  {
    table: 'webhook_endpoints',
    key: { id: 'uuid' },
    archived: [
      'id',
      'url',
      'description',
      'event_types',
      'rate_limit',
      'ordering',
      'signature',
      'enabled',
      'disabled_reason',
      'failing_since',
      'version',
      'created_at',
      'updated_at',
      'consent',
    ],
    omitted: ['headers', 'secret', 'previous_secret', 'previous_secret_expires_at', 'encrypted_parts', 'challenge'],
  },
  {
    table: 'webhook_event_types',
    key: { name: 'text' },
    archived: ['name', 'description', 'schema', 'example', 'version', 'created_at', 'updated_at'],
    omitted: ['id'],
  },
];
