import { createHash } from 'node:crypto';

/**
 * The id of the delivery of an event to an endpoint: a UUID of version 7's form, with the event's time and 74 bits of a
 * hash of both ids. It is deterministic, so that a pair never gets a second row, and it sorts by time.
 */
export function deliveryId(eventId: string, endpointId: string): string {
  const hash = createHash('sha256').update(`${eventId}/${endpointId}`).digest('hex');
  const variant = ((parseInt(hash.charAt(3), 16) & 0x3) | 0x8).toString(16);
  return `${eventId.slice(0, 13)}-7${hash.slice(0, 3)}-${variant}${hash.slice(4, 7)}-${hash.slice(7, 19)}`;
}
