/** What the features declare of their tables, for the processes that need all of it. */
import { API_KEYS_PLACEMENTS, API_KEYS_RETENTION } from '../api-keys/api-keys.tables';
import { AUTH_PLACEMENTS, AUTH_RETENTION } from '../auth/auth.tables';
import { ORDERS_PLACEMENTS } from '../orders/orders.tables';
import type { Placements, RetentionRule } from '../platform/database/sql/tables';
import { PLATFORM_PLACEMENTS, PLATFORM_RETENTION } from '../platform/tables/platform.tables';
import { TENANTS_PLACEMENTS, TENANTS_RETENTION } from '../tenants/tenants.tables';
import { USERS_PLACEMENTS } from '../users/users.tables';
import { WEBHOOKS_PLACEMENTS, WEBHOOKS_RETENTION } from '../webhooks/webhooks.tables';

/** Every table of the schema `public`. A test compares it with the schema. */
export const PLACEMENTS: Placements = {
  ...PLATFORM_PLACEMENTS,
  ...TENANTS_PLACEMENTS,
  ...USERS_PLACEMENTS,
  ...AUTH_PLACEMENTS,
  ...API_KEYS_PLACEMENTS,
  ...ORDERS_PLACEMENTS,
  ...WEBHOOKS_PLACEMENTS,
};

/** In the order in which the retention job deletes. */
export const RETENTION: readonly RetentionRule[] = [
  ...AUTH_RETENTION,
  ...TENANTS_RETENTION,
  ...API_KEYS_RETENTION,
  ...PLATFORM_RETENTION,
  ...WEBHOOKS_RETENTION,
];
