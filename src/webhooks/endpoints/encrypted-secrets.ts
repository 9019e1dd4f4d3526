import type { EncryptedColumn } from '../../platform/crypto/reencryption';
import type { SampledColumn } from '../../platform/crypto/sampled-column';
import { secretContext } from './endpoint-secrets';

/** The secrets, URLs and headers of endpoints, to encrypt them again. The endpoint's version does not change. */
export const ENDPOINT_SECRETS: EncryptedColumn = {
  what: 'webhook secrets',

  lockOutdated: (tenantId, current, limit, offset) => ({
    name: 'endpoint_secrets_lock_outdated',
    text: `select array[id::text] as key, array[secret, previous_secret, encrypted_parts] as encrypted from webhook_endpoints
            where tenant_id = $1 and (not starts_with(secret, $2) or not starts_with(previous_secret, $2)
                                      or not starts_with(encrypted_parts, $2))
            order by id limit $3 offset $4 for update`,
    values: [tenantId, current, limit, offset],
  }),

  replace: (tenantId, { key: [id = ''], encrypted: [secret = null, previous = null, parts = null] }) => ({
    name: 'endpoint_secrets_replace',
    text: `update webhook_endpoints set secret = $3, previous_secret = $4, encrypted_parts = $5
            where tenant_id = $1 and id = $2`,
    values: [tenantId, id, secret, previous, parts],
  }),

  contextOf: (tenantId, [id = '']) => secretContext(tenantId, id),

  countByKey: (tenantId) => ({
    name: 'endpoint_secrets_count_by_key',
    text: `select split_part(encrypted, '.', 2) as kid, count(*)::int as count
             from webhook_endpoints, unnest(array[secret, previous_secret, encrypted_parts]) as encrypted
            where tenant_id = $1 and encrypted is not null group by 1`,
    values: [tenantId],
  }),
};

/** The secrets of endpoints, for trying a key on them. */
export const SAMPLED_SECRETS: SampledColumn = {
  table: 'webhook_endpoints',
  key: ['tenant_id', 'id'],
  column: 'secret',
  contextOf: ([tenantId = '', id = '']) => secretContext(tenantId, id),
};
