import { Injectable } from '@nestjs/common';
import { Forbidden } from '../../platform/errors';
import { EventCatalogue } from '../../platform/outbox/event-catalogue';
import type { Permission } from '../../platform/permissions/permissions';

/** The permissions of a caller. */
interface Holder {
  readonly permissions: ReadonlySet<Permission>;
}

/**
 * Which events a caller may have sent, and see. Types of people, keys and the tenant have permissions of their own
 * beside `webhooks:read`: else a role that may write webhooks would read by an endpoint what it may not read by the
 * API.
 */
@Injectable()
export class EventAccess {
  constructor(private readonly types: EventCatalogue) {}

  /** @throws Forbidden where a pattern covers a type whose permission the caller lacks */
  assertMayTake({ permissions }: Holder, patterns: readonly string[]): void {
    for (const pattern of patterns) {
      for (const permission of this.types.permissionsOf(pattern)) {
        if (!permissions.has(permission))
          throw new Forbidden(`Events of ${pattern} ask for the permission ${permission}.`);
      }
    }
  }

  /** Whether the caller may see events of this type. */
  mayRead({ permissions }: Holder, type: string): boolean {
    const permission = this.types.permissionOf(type);
    return permission === undefined || permissions.has(permission);
  }

  /** The beginnings of the types that the caller may not see. */
  hiddenFrom({ permissions }: Holder): string[] {
    return this.types.reservedFor((permission) => !permissions.has(permission));
  }
}
