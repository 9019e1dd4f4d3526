import type { ApiClient } from './client';

/** Makes a webhook endpoint through the API; gives it with its secret. */
export async function createEndpoint(
  tenant: ApiClient,
  url: string,
  change: Record<string, unknown> = {},
): Promise<{ id: string; secret: string }> {
  const answer = await tenant.post('/webhooks/endpoints', { url, event_types: ['*'], ...change });
  if (answer.status !== 201) throw new Error(`no endpoint: ${answer.status} ${answer.text}`);
  return answer.body as { id: string; secret: string };
}
