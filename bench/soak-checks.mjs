/** The judgement of the soak: pure functions over the ledgers and the rows of the database. */

/**
 * An arrival at the receiver.
 * @typedef {{ deliveryId: string, eventId: string, type: string, dataId: string, path: string, at: number, status:
 * number, answeredAt?: number, fault?: string }} Arrival
 */

/**
 * An event in the database.
 * @typedef {{ id: string, tenantId: string, type: string, aggregateId: string | null, sequence: number | null,
 * eventId: string | null, createdAt: string }} Event
 */

/**
 * An endpoint.
 * @typedef {{ id: string, tenantId: string, path: string, types: string[], ordered: boolean }} Endpoint
 */

/** The arrivals of each delivery, in their order. */
export function byDelivery(arrivals) {
  const groups = new Map();
  for (const arrival of arrivals) {
    const group = groups.get(arrival.deliveryId);
    if (group) group.push(arrival);
    else groups.set(arrival.deliveryId, [arrival]);
  }
  return groups;
}

/**
 * Deliveries that arrived after their success was recorded.
 * @param {Map<string, Arrival[]>} deliveries
 * @param {Map<string, number>} recorded when the success of a delivery was committed, milliseconds of Unix time
 * @param {{ from: number, to: number }[]} frozen while PostgreSQL was frozen, a commit is complete only afterwards
 */
export function deliveredAgain(deliveries, recorded, frozen = []) {
  const found = [];
  for (const [deliveryId, arrivals] of deliveries) {
    let recordedAt = recorded.get(deliveryId);
    if (arrivals.length < 2 || recordedAt === undefined) continue;
    for (const { from, to } of frozen) if (recordedAt >= from - 50 && recordedAt <= to) recordedAt = to;
    const late = arrivals.filter(({ at }) => at > recordedAt);
    if (late.length > 0)
      found.push({ deliveryId, recordedAt, laterBy: late.map(({ at }) => Math.round(at - recordedAt)) });
  }
  return found;
}

/**
 * Deliveries to ordered endpoints that arrived before an earlier event of their aggregate had been answered with a
 * success. @param {Map<string, Event>} events by id @returns the faults, and how many pairs were compared
 */
export function outOfOrder(arrivals, events, endpoints) {
  const ordered = new Set(endpoints.filter((endpoint) => endpoint.ordered).map(({ path }) => path));
  const aggregates = new Map();
  for (const arrival of arrivals) {
    const event = events.get(arrival.eventId);
    if (!ordered.has(arrival.path) || !event || event.aggregateId === null) continue;
    const key = `${arrival.path} ${event.aggregateId}`;
    const bySequence = aggregates.get(key) ?? aggregates.set(key, new Map()).get(key);
    const seen = bySequence.get(event.sequence) ?? {
      sequence: event.sequence,
      deliveryId: arrival.deliveryId,
      first: Infinity,
    };
    seen.first = Math.min(seen.first, arrival.at);
    if (arrival.status < 300) seen.succeeded ??= arrival.at;
    bySequence.set(event.sequence, seen);
  }
  const faults = [];
  let pairs = 0;
  for (const bySequence of aggregates.values()) {
    const steps = [...bySequence.values()].sort((a, b) => a.sequence - b.sequence);
    for (let i = 1; i < steps.length; i++) {
      pairs++;
      const [earlier, later] = [steps[i - 1], steps[i]];
      if (later.first < (earlier.succeeded ?? Infinity)) faults.push({ earlier, later, deliveryId: later.deliveryId });
    }
  }
  return { faults, pairs };
}

/** Whether an endpoint with these patterns takes events of a type. */
const takes = (types, type) =>
  types.some(
    (pattern) =>
      pattern === '*' || pattern === type || (pattern.endsWith('.*') && type.startsWith(pattern.slice(0, -1))),
  );

/**
 * Committed events that did not arrive with a success at each endpoint that takes them, and arrivals of no committed
 * event. @param {Map<string, Event>} events by id
 */
export function lostAndInvented(arrivals, events, endpoints) {
  const arrived = new Set();
  const invented = [];
  for (const { eventId, path, status, deliveryId, fault } of arrivals) {
    if (fault !== undefined || !events.has(eventId)) invented.push({ deliveryId, eventId, fault });
    if (status < 300) arrived.add(`${eventId} ${path}`);
  }
  const lost = [];
  let expected = 0;
  for (const event of events.values()) {
    for (const endpoint of endpoints) {
      if (endpoint.tenantId !== event.tenantId || !takes(endpoint.types, event.type)) continue;
      expected++;
      if (!arrived.has(`${event.id} ${endpoint.path}`))
        lost.push({ eventId: event.id, endpointId: endpoint.id, type: event.type });
    }
  }
  return { lost, invented, expected };
}

/**
 * Compares the orders in the database with what was acknowledged.
 * @param {import('./soak-load.mjs').Ledger} ledger
 * @param {{ id: string, marker: string, version: number, status: string, events: number, last: number }[]} orders with
 * the number of their events, and the highest sequence among these
 * @param {Event[]} events
 */
export function comparedWithLedger({ creates, orders: acknowledged, events: emitted }, orders, events) {
  const faults = [];
  const fault = (what, detail) => faults.push({ what, ...detail });
  const byMarker = new Map();
  for (const order of orders) byMarker.set(order.marker, [...(byMarker.get(order.marker) ?? []), order]);
  for (const [marker, create] of creates) {
    const found = byMarker.get(marker) ?? [];
    if (create.id !== undefined && !found.some(({ id }) => id === create.id))
      fault('an acknowledged order is lost', { marker, create });
    if (found.length > 1) fault('one request made two orders', { marker, create, found });
    if (create.repeated && found.length === 0) fault('a request with a key left no order', { marker, create });
    if (create.batch && create.batch.some((other) => (byMarker.get(other)?.length ?? 0) !== found.length)) {
      fault('a part of a batch', { marker, create });
    }
  }
  for (const marker of byMarker.keys()) if (!creates.has(marker)) fault('an order that was not asked for', { marker });
  for (const order of orders) {
    const known = acknowledged.get(order.id);
    if (known && (order.version < known.version || order.version > known.version + known.unanswered)) {
      fault('an acknowledged change is lost, or one was not asked for', { order, known });
    }
    if (order.events !== order.version || order.last !== order.version) fault('versions without events', { order });
  }
  const counts = new Map();
  for (const { eventId } of events) if (eventId !== null) counts.set(eventId, (counts.get(eventId) ?? 0) + 1);
  for (const id of emitted.keys())
    if (counts.get(id) !== 1) fault('a custom event is not there once', { id, count: counts.get(id) });
  return faults;
}
