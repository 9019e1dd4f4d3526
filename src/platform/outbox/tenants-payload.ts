/** More tenants than this in one notification count as all of them: NOTIFY limits a payload to 8,000 bytes. */
const MOST_TENANTS = 200;

/** The payload of a notification of work for these tenants. */
export function formatTenants(tenantIds: ReadonlySet<string>): string {
  return tenantIds.size > MOST_TENANTS ? '' : [...tenantIds].join(',');
}

/** The tenants in a payload; undefined if it names none, as in an earlier release, and so concerns every tenant. */
export function parseTenants(payload: string): string[] | undefined {
  return /^[\da-f-]{36}(,[\da-f-]{36})*$/.test(payload) ? payload.split(',') : undefined;
}
