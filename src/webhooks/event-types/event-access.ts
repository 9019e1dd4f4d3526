import { Injectable } from '@nestjs/common';
import { Forbidden } from '../../platform/errors';
import { EventCatalogue } from '../../platform/outbox/event-catalogue';
import { type Permission, PERMISSIONS } from '../../platform/permissions/permissions';

/** The permissions of a caller. */
interface Holder {
  readonly permissions: ReadonlySet<Permission>;
}

/**
 * The events that a caller may subscribe to and see. Types about people, keys and the tenant require permissions beyond
 * `webhooks:read`: otherwise a role that may write webhooks could read through an endpoint what the API refuses it.
 */
@Injectable()
export class EventAccess {
  constructor(private readonly types: EventCatalogue) {}

  /** @throws Forbidden if a pattern covers a type whose permission the caller lacks */
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

  /** The prefixes of the types that the caller may not see. */
  hiddenFrom({ permissions }: Holder): string[] {
    return PERMISSIONS.eventsOf((permission) => !permissions.has(permission));
  }
}
