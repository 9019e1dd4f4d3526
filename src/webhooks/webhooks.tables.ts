import type { Placements, RetentionRule } from '../platform/database/sql/tables';

const DAY_MS = 24 * 60 * 60 * 1000;

export const WEBHOOKS_PLACEMENTS: Placements = {
  webhook_event_types: 'distributed',
  webhook_endpoints: 'distributed',
  deliveries: 'distributed',
  delivery_attempts: 'distributed',
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
