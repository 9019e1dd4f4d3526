import { Injectable, type Type } from '@nestjs/common';
import { type Permission, PERMISSIONS } from '../permissions/permissions';

/** A type of event that the service emits, as its feature describes it. */
export interface EventType {
  /** Dotted, such as `report.created`. */
  name: string;
  /** When it is emitted. */
  description: string;
  /** The class by which the API describes the resource in `data`. */
  data: Type;
  /** The example of such an event, if it differs from the examples of its class. */
  example?: Record<string, unknown>;
  /**
   * The permission to read it, required of every caller that subscribes to such events or reads them. Left out, it is
   * the permission of all others; a type with a permission is not part of `*`.
   */
  permission?: Permission;
}

/**
 * Every type of event that the service emits. Features register theirs when they are loaded. The namespaces before the
 * first dot are reserved for the service; a tenant's own events use other ones.
 */
@Injectable()
export class EventCatalogue {
  private readonly types = new Map<string, EventType>();

  add(...types: EventType[]): void {
    for (const type of types) {
      if (this.types.has(type.name)) throw new Error(`two features emit ${type.name}`);
      this.types.set(type.name, type);
    }
  }

  all(): EventType[] {
    return [...this.types.values()];
  }

  /** Whether the namespace of this name belongs to the service. */
  isReserved(name: string): boolean {
    const first = name.slice(0, name.indexOf('.') + 1);
    if (first === '') return false;
    return PERMISSIONS.ofEvent(first) !== undefined || this.all().some((type) => type.name.startsWith(first));
  }

  /** Whether a pattern (an exact name, or a prefix and `.*`) covers any of them. */
  covers(pattern: string): boolean {
    if (!pattern.endsWith('.*')) return this.types.has(pattern);
    const prefix = pattern.slice(0, -1);
    const isNamespace = prefix.indexOf('.') === prefix.length - 1 && PERMISSIONS.ofEvent(prefix) !== undefined;
    return isNamespace || this.all().some((type) => type.name.startsWith(prefix));
  }

  /** The permission that reads events of this type; undefined for the general one. */
  permissionOf(name: string): Permission | undefined {
    return this.types.get(name)?.permission ?? PERMISSIONS.ofEvent(name);
  }

  /** The permissions, besides the general one, of all types that a pattern covers; `*` covers none with another one. */
  permissionsOf(pattern: string): Set<Permission> {
    if (pattern === '*') return new Set();
    if (!pattern.endsWith('.*')) return new Set([this.permissionOf(pattern)].filter((one) => one !== undefined));
    const prefix = pattern.slice(0, -1);
    const covered = this.all().filter((type) => type.name.startsWith(prefix));
    const permissions = [...covered.map((type) => type.permission), this.permissionOf(prefix)];
    return new Set(permissions.filter((one) => one !== undefined));
  }
}
