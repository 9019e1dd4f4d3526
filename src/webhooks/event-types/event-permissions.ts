import { Forbidden } from '../../platform/errors';
import type { Caller } from '../../platform/http/requests/caller';

/**
 * The permission that reads types with this first word; all others need `webhooks:read` alone. `*` does not take them: an endpoint
 * that wants them names them.
 */
const PERMISSION_OF: ReadonlyMap<string, string> = new Map([
  ['member', 'members:read'],
  ['session', 'members:read'],
  ['api_key', 'api_keys:manage'],
  ['sso', 'sso:manage'],
  ['tenant', 'tenant:manage'],
  ['audit', 'audit:read'],
]);

const firstWord = (name: string): string => name.slice(0, name.indexOf('.'));

/** Whether another permission than `webhooks:read` reads this type. */
export function isPersonal(type: string): boolean {
  return PERMISSION_OF.has(firstWord(type));
}

/** Asserts that the caller may read every type that an endpoint takes. @throws Forbidden */
export function assertMayRead(caller: Caller, patterns: readonly string[]): void {
  for (const pattern of patterns) {
    const permission = PERMISSION_OF.get(firstWord(pattern));
    if (permission === undefined || (caller.permissions as ReadonlySet<string>).has(permission)) continue;
    throw new Forbidden(`Events of '${pattern}' need the permission ${permission}.`);
  }
}
