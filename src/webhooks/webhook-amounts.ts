/** The amounts of a tenant's webhooks that are counted at their creation. */
import type { Config } from '../platform/config/config';
import type { CountedAmount } from '../platform/usage/tenant-usage';

const MIB = 1024 * 1024;

/** The deliveries of a tenant's events, as the fan-out counts them. */
export const DELIVERIES = 'deliveries';

/**
 * The amounts that events and deliveries count as; the process that counts and the one that refuses both define them.
 */
export function webhookAmounts(config: Config): CountedAmount[] {
  const storedDays = config.WEBHOOK_RETENTION_DAYS;
  return [
    { name: 'events', perDay: config.QUOTA_EVENTS_PER_DAY, storedDays },
    { name: 'event_bytes', perDay: config.QUOTA_EVENT_MIB_PER_DAY * MIB, storedDays: 0 },
    { name: DELIVERIES, perDay: config.QUOTA_DELIVERIES_PER_DAY, storedDays },
  ];
}
