import type { ApiClient } from './client';

/** Makes a webhook endpoint through the API; gives it with its secret. */
export async function createEndpoint(
  tenant: ApiClient,
  url: string,
  change: Record<string, unknown> = {},
): Promise<{ id: string; secret: string }> {
  const response = await tenant.post('/webhooks/endpoints', { url, event_types: ['*'], ...change });
  if (response.status !== 201) throw new Error(`no endpoint: ${response.status} ${response.text}`);
  return response.body as { id: string; secret: string };
}
