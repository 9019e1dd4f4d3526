import type { KeyRow } from './api-keys.queries';
import type { ApiKeyView } from './api-keys.views';

/** The key as the API shows it. */
export function viewOf(row: KeyRow): ApiKeyView {
  return {
    id: row.id,
    name: row.name,
    kind: row.kind,
    scopes: row.scopes,
    hint: row.hint,
    created_by: row.created_by,
    expires_at: row.expires_at?.toISOString() ?? null,
    last_used_at: row.last_used_at?.toISOString() ?? null,
    allowed_cidrs: row.allowed_cidrs,
    rate_limit: row.rate_limit,
    version: row.version,
    created_at: row.created_at.toISOString(),
  };
}
