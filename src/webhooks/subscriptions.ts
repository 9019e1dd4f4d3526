/** The event that only the endpoint under test is sent. */
export const TEST_EVENT = 'webhook.test';

/**
 * Whether one of an endpoint's patterns (exact names, `order.*`, `*`) covers an event type. `webhook.test` is covered by
 * none: it goes to the endpoint it is for.
 */
export function isSubscribed(patterns: readonly string[], type: string): boolean {
  if (type === TEST_EVENT) return false;
  return patterns.some(
    (pattern) =>
      pattern === '*' || pattern === type || (pattern.endsWith('.*') && type.startsWith(pattern.slice(0, -1))),
  );
}
