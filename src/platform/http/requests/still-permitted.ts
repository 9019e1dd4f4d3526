/** Responses that take long: a revocation has to reach them as well. */
import { Unauthorized } from '../../errors';
import type { Permission } from '../../permissions/permissions';
import type { Caller } from './caller';

/** @throws Unauthorized if the caller's credential has ended since, or has lost the permission */
export async function assertStillPermitted(caller: Caller, permission: Permission): Promise<void> {
  const permissions = await caller.permissionsNow?.(caller);
  if (permissions?.has(permission) === false) throw new Unauthorized('The credential has ended.');
}

/** The chunks of a response, as long as the caller's credential has the permission. @throws Unauthorized */
export async function* whilePermitted(
  caller: Caller,
  permission: Permission,
  chunks: AsyncIterable<string>,
): AsyncGenerator<string> {
  for await (const chunk of chunks) {
    await assertStillPermitted(caller, permission);
    yield chunk;
  }
}
