import { Injectable, type Type } from '@nestjs/common';

/** A type of event that the service itself emits, as its feature describes it. */
export interface EventType {
  /** Dotted, such as `order.created`. */
  name: string;
  /** When it is emitted. */
  description: string;
  /** What `data` is: the class by which the API describes the resource. */
  data: Type;
  /** How the resource looks in such an event, where that differs from the examples of its class. */
  example?: Record<string, unknown>;
}

/**
 * Every type of event that the service emits: features add theirs when they are loaded, and whoever tells the world of
 * events reads them all. The names before the first dot belong to the service; tenants' own events begin otherwise.
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

  /** Whether names that begin like this one are the service's. */
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
