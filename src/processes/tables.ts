/** The features' declarations of their tables, for the processes that need all of them. */
import { API_KEYS_PLACEMENTS, API_KEYS_RETENTION, API_KEYS_TENANT_TABLES } from '../api-keys/api-keys.tables';
import { AUTH_PERSON_TABLES, AUTH_PLACEMENTS, AUTH_RETENTION, AUTH_TENANT_TABLES } from '../auth/auth.tables';
import { ORDERS_PLACEMENTS, ORDERS_TENANT_TABLES } from '../orders/orders.tables';
import type { Filling, PersonTable, Placements, RetentionRule, TenantTable } from '../platform/database/sql/tables';
import { PLATFORM_PLACEMENTS, PLATFORM_RETENTION, PLATFORM_TENANT_TABLES } from '../platform/tables/platform.tables';
import {
  TENANTS_FILLINGS,
  TENANTS_PERSON_TABLES,
  TENANTS_PLACEMENTS,
  TENANTS_RETENTION,
  TENANTS_TENANT_TABLES,
} from '../tenants/tenants.tables';
import { USERS_PERSON_TABLES, USERS_PLACEMENTS } from '../users/users.tables';
import { WEBHOOKS_PLACEMENTS, WEBHOOKS_RETENTION, WEBHOOKS_TENANT_TABLES } from '../webhooks/webhooks.tables';

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

/** The tables that `migrate` fills in before it distributes them. */
export const FILLINGS: readonly Filling[] = TENANTS_FILLINGS;

/** In the order in which the retention job deletes. */
export const RETENTION: readonly RetentionRule[] = [
  ...AUTH_RETENTION,
  ...TENANTS_RETENTION,
  ...API_KEYS_RETENTION,
  ...PLATFORM_RETENTION,
  ...WEBHOOKS_RETENTION,
];

/**
 * Every table with a `tenant_id`, in the order in which the erasure of a tenant deletes. The tenant itself goes last.
 */
export const TENANT_TABLES: readonly TenantTable[] = [
  ...ORDERS_TENANT_TABLES,
  ...WEBHOOKS_TENANT_TABLES,
  ...API_KEYS_TENANT_TABLES,
  ...AUTH_TENANT_TABLES,
  ...TENANTS_TENANT_TABLES,
  ...PLATFORM_TENANT_TABLES,
];

/** The tables about a person, in the order of an erasure. */
export const PERSON_TABLES: readonly PersonTable[] = [
  ...TENANTS_PERSON_TABLES,
  ...AUTH_PERSON_TABLES,
  ...USERS_PERSON_TABLES,
];
