import type { EncryptedColumn } from '../../crypto/reencryption';
import { storedResponseContext } from './idempotency';

/** Stored responses that hold a secret, for re-encryption. Others are plain JSON. */
export const STORED_RESPONSES: EncryptedColumn = {
  what: 'stored responses',

  lockOutdated: (tenantId, current, limit, offset) => ({
    name: 'idempotency_lock_outdated',
    text: `select array[caller, key] as key, array[body] as encrypted from idempotency_keys
            where tenant_id = $1 and not starts_with(body, '{') and not starts_with(body, $2) and expires_at > now()
            order by caller, key limit $3 offset $4 for update`,
    values: [tenantId, current, limit, offset],
  }),

  replace: (tenantId, { key: [caller = '', key = ''], encrypted: [body = null] }) => ({
    name: 'idempotency_replace',
    text: 'update idempotency_keys set body = $4 where tenant_id = $1 and caller = $2 and key = $3',
    values: [tenantId, caller, key, body],
  }),

  contextOf: (tenantId, [caller = '', key = '']) => storedResponseContext(tenantId, caller, key),

  countByKey: (tenantId) => ({
    name: 'idempotency_count_by_key',
    text: `select split_part(body, '.', 2) as kid, count(*)::int as count from idempotency_keys
            where tenant_id = $1 and not starts_with(body, '{') and expires_at > now() group by 1`,
    values: [tenantId],
  }),
};
