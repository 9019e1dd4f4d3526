/** The upper bound of every grant: a caller grants, and manages, no more than the permissions that it holds itself. */
import { Forbidden } from '../../errors';
import type { Caller } from './caller';
import { lacking, type Permission } from '../../permissions/permissions';

/** @throws Forbidden if the caller lacks any of the permissions that it would grant */
export function assertMayGrant(caller: Caller, permissions: Iterable<Permission>): void {
  const missing = lacking(caller.permissions, permissions);
  if (missing.length > 0) throw new Forbidden(`You cannot grant what you do not hold: ${missing.join(', ')}.`);
}

/** @throws Forbidden if the member or role to change has a permission that the caller lacks */
export function assertNotAbove(caller: Caller, permissions: Iterable<Permission>): void {
  const missing = lacking(caller.permissions, permissions);
  if (missing.length > 0) throw new Forbidden(`This has permissions that you do not hold: ${missing.join(', ')}.`);
}
