/** The keys that a caller may see, change or rotate. */
import type { TenantTransaction } from '../platform/database/tenant-database';
import { Forbidden, NotFound } from '../platform/errors';
import type { Caller } from '../platform/http/requests/caller';
import { assertMayGrant } from '../platform/http/requests/grants';
import type { Precondition } from '../platform/http/responses/conditional-requests';
import type { Permission } from '../platform/permissions/permissions';
import { findKey, type KeyRow } from './api-keys.queries';

/** Whether the caller manages the keys of the tenant. */
export function isManager(caller: Caller): boolean {
  return caller.permissions.has('api_keys:manage');
}

/** @throws Forbidden unless the caller manages keys */
export function assertManager(caller: Caller): void {
  if (!isManager(caller)) throw new Forbidden(`The role ${caller.role} may not do this: it lacks api_keys:manage.`);
}

/** @throws NotFound unless the key is there for this caller: its own, or any for a manager */
export function assertVisible(caller: Caller, id: string, row: KeyRow | undefined): KeyRow {
  if (!row || (row.userId !== caller.actor.id && !isManager(caller))) throw new NotFound('Key', id);
  return row;
}

/** Reads a key and locks it. */
export async function lockKey(tx: TenantTransaction, id: string): Promise<KeyRow | undefined> {
  const { name, text, values } = findKey(tx.tenantId, id);
  const [row] = await tx.query<KeyRow>({ name: `${name}_lock`, text: `${text} for update`, values });
  return row;
}

/** The key, locked, if the caller may change or rotate it. */
export async function lockToChange(
  tx: TenantTransaction,
  caller: Caller,
  id: string,
  ifMatch?: Precondition,
): Promise<KeyRow> {
  const row = assertVisible(caller, id, await lockKey(tx, id));
  ifMatch?.assertVersion(row.version);
  if (row.kind === 'tenant') assertManager(caller);
  else if (row.userId !== caller.actor.id) throw new Forbidden('A personal key is changed by its person alone.');
  assertMayGrant(caller, row.scopes as Permission[]);
  return row;
}
