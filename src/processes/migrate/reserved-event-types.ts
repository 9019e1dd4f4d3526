import { readAsOwner } from '../../platform/database/migrate/owner-read';
import { Inoperable } from '../lifecycle';

/** The namespaces of the service's own events. A test compares them with the catalogue. */
export const RESERVED_NAMESPACES = ['order', 'webhook', 'member', 'api_key', 'session', 'sso', 'tenant', 'audit'];

const MAX_NAMED = 100;

/**
 * Refuses to migrate while tenants have types of their own in a namespace that is the service's: their endpoints would
 * get other events than those they subscribed to. The schema is unchanged then.
 * @throws Inoperable, which lists them
 */
export async function assertNoReservedTypes(migrationUrl: string): Promise<void> {
  const rows = await readAsOwner<{ tenant_id: string; name: string }>(migrationUrl, 'webhook_event_types', {
    name: 'event_types_reserved',
    text: `select tenant_id, name from webhook_event_types where split_part(name, '.', 1) = any ($1)
            order by tenant_id, name limit ${MAX_NAMED}`,
    values: [RESERVED_NAMESPACES],
  });
  if (rows.length === 0) return;
  throw new Inoperable(
    [
      'event types of tenants are in namespaces of the service; rename or delete them first, nothing was migrated:',
      ...rows.map(({ tenant_id: tenantId, name }) => `  tenant ${tenantId}: ${name}`),
    ].join('\n'),
  );
}
