/** The grammar of event types' names, and of the patterns by which endpoints choose among them. */
import type { FieldFault } from '../../platform/errors';
import { PERMISSIONS } from '../../platform/permissions/permissions';
import type { EventCatalogue } from '../../platform/outbox/event-catalogue';

/** The event that goes only to the endpoint under test. */
export const TEST_EVENT = 'webhook.test';

/** The event that requests a receiver's consent; only the endpoint in question gets it. */
export const CHALLENGE_EVENT = 'webhook.challenge';

/** The types that one endpoint gets regardless of its subscriptions; no pattern covers them. */
const DIRECTED = new Set([TEST_EVENT, CHALLENGE_EVENT]);

/** Whether one of an endpoint's patterns (exact names, `order.*`, `*`) covers the type. */
export function isSubscribed(patterns: readonly string[], type: string): boolean {
  if (DIRECTED.has(type)) return false;
  return patterns.some((pattern) => {
    // Another permission than that of webhooks reads such events: an endpoint has to name them, or their prefix.
    if (pattern === '*') return PERMISSIONS.ofEvent(type) === undefined;
    return pattern === type || (pattern.endsWith('.*') && type.startsWith(pattern.slice(0, -1)));
  });
}

export const MAX_EVENT_TYPES = 100;
export const MAX_TYPE_NAME = 255;

/** A name: at least two words with dots between them. */
export const TYPE_NAME = /^[a-z0-9_]+(\.[a-z0-9_]+)+$/;

/** Faults in the name of a tenant's own type. */
export function ownTypeFaults(field: string, name: string, types: EventCatalogue): FieldFault[] {
  if (types.isReserved(name)) {
    return [{ field, message: 'begins like our own event types', code: 'reserved_event_type' }];
  }
  if (TYPE_NAME.test(name) && name.length <= MAX_TYPE_NAME) return [];
  const message = `must be a dotted name such as invoice.paid, of at most ${MAX_TYPE_NAME} characters`;
  return [{ field, message, code: 'event_type' }];
}

/** A name, a prefix and `.*`, or `*`. */
export const PATTERN = /^(\*|[a-z0-9_]+(\.[a-z0-9_]+)*\.(\*|[a-z0-9_]+))$/;

/** Faults in the form of an endpoint's `event_types`. */
export function eventTypesFaults(value: unknown): FieldFault[] {
  const fault = (field: string, code: string, message: string): FieldFault => ({ field, message, code });
  if (!Array.isArray(value)) return [fault('event_types', 'is_array', 'must be a list')];
  if (value.length < 1) return [fault('event_types', 'array_min_size', 'must have at least 1 entry')];
  if (value.length > MAX_EVENT_TYPES) {
    return [fault('event_types', 'array_max_size', `must have at most ${MAX_EVENT_TYPES} entries`)];
  }
  return value.flatMap((entry: unknown, index) => {
    const field = `event_types.${index}`;
    if (typeof entry !== 'string') return [fault(field, 'is_string', 'must be a string')];
    if (entry.length > MAX_TYPE_NAME) {
      return [fault(field, 'max_length', `must have at most ${MAX_TYPE_NAME} characters`)];
    }
    if (PATTERN.test(entry)) return [];
    return [fault(field, 'event_type', 'must be a name such as order.created, a beginning such as order.*, or *')];
  });
}

/** Entries in our namespaces that no type matches: they would never be sent. */
export function unknownTypesFaults(patterns: unknown, types: EventCatalogue): FieldFault[] {
  if (!Array.isArray(patterns) || patterns.length > MAX_EVENT_TYPES) return [];
  return patterns.flatMap((pattern: unknown, index) => {
    if (typeof pattern !== 'string' || !PATTERN.test(pattern)) return [];
    if (!types.isReserved(pattern) || types.covers(pattern)) return [];
    const message = 'is not an event type; see GET /webhooks/event-types';
    return [{ field: `event_types.${index}`, message, code: 'unknown_event_type' }];
  });
}
