/**
 * The audit entries of endpoints: the changed values; for a value that may hold a secret, only the fact of the change.
 */
import { type Change, SECRET_CHANGE } from '../../platform/audit/audit-entry';
import type { WebhookEndpoint } from './webhook-endpoint.entity';
import type { CreateEndpointDto } from './endpoints.requests';

export function endpointTarget(id: string): { type: string; id: string } {
  return { type: 'webhook_endpoint', id };
}

/** The changes that an entry names, by the names of the API. */
const FIELDS: Readonly<Partial<Record<keyof WebhookEndpoint, string>>> = {
  url: 'url',
  description: 'description',
  eventTypes: 'event_types',
  headers: 'headers',
  rateLimit: 'rate_limit',
  ordering: 'ordering',
  signature: 'signature',
  secret: 'secret',
  enabled: 'enabled',
};

/** The difference that a change of an endpoint makes. */
export function auditedChanges(before: WebhookEndpoint, change: Partial<WebhookEndpoint>): Record<string, Change> {
  const changes: Record<string, Change> = {};
  for (const [column, value] of Object.entries(change)) {
    const name = FIELDS[column as keyof WebhookEndpoint];
    if (name !== undefined) changes[name] = shown(name, before[column as keyof WebhookEndpoint], value);
  }
  return changes;
}

/** The initial values of an endpoint. */
export function creationOf(input: CreateEndpointDto): Record<string, Change> {
  const { url, event_types, enabled = true, headers } = input;
  return {
    url: shown('url', null, url),
    event_types: [null, event_types],
    enabled: [null, enabled],
    ...(headers ? { headers: SECRET_CHANGE } : {}),
  };
}

/** The headers, or the query string of the URL, may contain a receiver's token. */
function shown(name: string, before: unknown, after: unknown): Change {
  if (name === 'headers' || name === 'secret') return SECRET_CHANGE;
  return name === 'url' ? [withoutQuery(before), withoutQuery(after)] : [before, after];
}

function withoutQuery(url: unknown): string | null {
  if (typeof url !== 'string') return null;
  const query = url.indexOf('?');
  return query === -1 ? url : `${url.slice(0, query)}?•`;
}
