/** The media types of request bodies. */
export const JSON_TYPE = 'application/json';
/** A PATCH merges its members into the resource (RFC 7396), so this type is also accepted. */
export const MERGE_PATCH_TYPE = 'application/merge-patch+json';

/** `Accept` of a 415 (RFC 9110, 15.5.16) and, on a PATCH, `Accept-Patch` (RFC 5789, 2.2). */
export function typesTaken(method: string): Record<string, string> {
  if (method !== 'PATCH') return { Accept: JSON_TYPE };
  const types = `${JSON_TYPE}, ${MERGE_PATCH_TYPE}`;
  return { Accept: types, 'Accept-Patch': types };
}
