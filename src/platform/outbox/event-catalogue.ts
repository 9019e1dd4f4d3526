import { Injectable, type Type } from '@nestjs/common';

/** A type of event that the service emits, as its feature describes it. */
export interface EventType {
  /** Dotted, such as `order.created`. */
  name: string;
  /** When it is emitted. */
  description: string;
  /** The class by which the API describes the resource in `data`. */
  data: Type;
  /** The example of such an event, where it differs from the examples of its class. */
  example?: Record<string, unknown>;
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
    return first !== '' && this.all().some((type) => type.name.startsWith(first));
  }

  /** Whether a pattern (an exact name, or a prefix and `.*`) covers any of them. */
  covers(pattern: string): boolean {
    const prefix = pattern.endsWith('.*') ? pattern.slice(0, -1) : undefined;
    return this.all().some((type) => (prefix === undefined ? type.name === pattern : type.name.startsWith(prefix)));
  }
}
