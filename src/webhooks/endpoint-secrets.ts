/** What an endpoint's sealed secrets are bound to: in another row they do not open. */
export function secretContext(tenantId: string, endpointId: string): string {
  return `${tenantId}/${endpointId}`;
}
