import { columnsOf, type RowOf } from '../platform/database/columns';
import type { Row, Statement } from '../platform/database/sql/statement';
import { WHOLE_TENANT } from '../platform/revocation/epochs.queries';
import { ApiKey, type KeyKind } from './api-key.entity';

/** A key, without its text. */
export type KeyRow = RowOf<ApiKey>;

/** Everything that decides over a request with a key, with the counters under which it was read. */
export interface KeyStateRow extends Row {
  id: string;
  kind: KeyKind;
  user_id: string | null;
  name: string;
  scopes: string[];
  allowed_cidrs: string[];
  rate_limit: number | null;
  expires_at: Date | null;
  secret_expires_at: Date | null;
  suspended_at: Date | null;
  closed_at: Date | null;
  tenant_cidrs: string[];
  second_factor: string;
  second_factor_grace_days: number;
  second_factor_since: Date | null;
  role: string | null;
  status: string | null;
  joined_at: Date | null;
  role_permissions: string[] | null;
  tenant_epoch: number;
  key_epoch: number;
  person_epoch: number;
}

const COLUMNS = columnsOf(ApiKey);

export function findKey(tenantId: string, id: string): Statement {
  return {
    name: 'api_key_find',
    text: `select ${COLUMNS} from api_keys where tenant_id = $1 and id = $2`,
    values: [tenantId, id],
  };
}

/** A page of keys, newest first; of one person's own, or of all. */
export function listKeys(
  tenantId: string,
  ofUser: string | null,
  afterId: string | undefined,
  limit: number,
): Statement {
  return {
    name: 'api_keys_list',
    text: `select ${COLUMNS} from api_keys
            where tenant_id = $1 and ($2::uuid is null or user_id = $2) and ($3::uuid is null or id < $3)
            order by id desc limit $4`,
    values: [tenantId, ofUser, afterId ?? null, limit],
  };
}

/** How many keys the tenant has. */
export function countKeys(tenantId: string): Statement {
  return {
    name: 'api_keys_count',
    text: 'select count(*)::int as count from api_keys where tenant_id = $1',
    values: [tenantId],
  };
}

/** The personal keys of a person in every tenant, as the sign-in role that is bound to the person sees them. */
export function listKeysOfPerson(userId: string): Statement {
  return {
    name: 'api_keys_of_person',
    text: 'select tenant_id, id, name, created_at from api_keys where user_id = $1 order by id',
    values: [userId],
  };
}

/** How many keys of the tenant itself there are. */
export function countTenantKeys(tenantId: string): Statement {
  return {
    name: 'api_keys_count_of_tenant',
    text: `select count(*)::int as count from api_keys where tenant_id = $1 and kind = 'tenant'`,
    values: [tenantId],
  };
}

/** The longest life of a new key that the tenant allows, days. */
export function findKeyPolicy(tenantId: string): Statement {
  return {
    name: 'api_key_policy_find',
    text: 'select api_key_max_days from tenants where id = $1 for key share',
    values: [tenantId],
  };
}

/** A row if the person is an active member, who stays one until the transaction ends. */
export function lockActiveMember(tenantId: string, userId: string): Statement {
  return {
    name: 'api_key_maker_lock',
    text: `select 1 from memberships where tenant_id = $1 and user_id = $2 and status = 'active' for share`,
    values: [tenantId, userId],
  };
}

export function insertSecret(tenantId: string, keyId: string, hash: Buffer, now: Date): Statement {
  return {
    name: 'api_key_secret_insert',
    text: 'insert into api_key_secrets (tenant_id, key_hash, key_id, created_at) values ($1, $2, $3, $4)',
    values: [tenantId, hash, keyId, now],
  };
}

/** Ends every text of a key at a time, except those that end before. */
export function endSecrets(tenantId: string, keyId: string, at: Date): Statement {
  return {
    name: 'api_key_secrets_end',
    text: `update api_key_secrets set expires_at = $3
            where tenant_id = $1 and key_id = $2 and (expires_at is null or expires_at > $3)`,
    values: [tenantId, keyId, at],
  };
}

/** The number of valid texts of a key, and the creation time of the newest. */
export function countLiveSecrets(tenantId: string, keyId: string, now: Date): Statement {
  return {
    name: 'api_key_secrets_count',
    text: `select count(*)::int as count, max(created_at) as newest_at from api_key_secrets
            where tenant_id = $1 and key_id = $2 and (expires_at is null or expires_at > $3)`,
    values: [tenantId, keyId, now],
  };
}

/** The state of the key with this hash, in one snapshot with its counters. */
export function findKeyState(tenantId: string, hash: Buffer): Statement {
  return {
    name: 'api_key_state',
    text: `select k.id, k.kind, k.user_id, k.name, k.scopes, k.allowed_cidrs, k.rate_limit, k.expires_at,
                  s.expires_at as secret_expires_at, t.suspended_at, t.closed_at, t.allowed_cidrs as tenant_cidrs,
                  t.second_factor, t.second_factor_grace_days, t.second_factor_since,
                  m.role, m.status, m.created_at as joined_at, r.permissions as role_permissions,
                  coalesce(w.epoch, 0) as tenant_epoch, coalesce(o.epoch, 0) as key_epoch,
                  coalesce(p.epoch, 0) as person_epoch
             from api_key_secrets s
             join api_keys k on k.tenant_id = s.tenant_id and k.id = s.key_id
             join tenants t on t.id = s.tenant_id
             left join memberships m on m.tenant_id = k.tenant_id and m.user_id = k.user_id
             left join roles r on r.tenant_id = m.tenant_id and r.name = m.role
             left join tenant_auth_state w on w.tenant_id = s.tenant_id and w.user_id = '${WHOLE_TENANT}'
             left join tenant_auth_state o on o.tenant_id = s.tenant_id and o.user_id = k.id
             left join tenant_auth_state p on p.tenant_id = s.tenant_id and p.user_id = k.user_id
            where s.tenant_id = $1 and s.key_hash = $2`,
    values: [tenantId, hash],
  };
}

/** The counter of a deleted key: the tenant's was raised instead. */
export function deleteKeyEpoch(tenantId: string, keyId: string): Statement {
  return {
    name: 'api_key_epoch_delete',
    text: 'delete from tenant_auth_state where tenant_id = $1 and user_id = $2',
    values: [tenantId, keyId],
  };
}

/** The personal keys of a member, locked. */
export function lockPersonalKeys(tenantId: string, userId: string): Statement {
  return {
    name: 'api_keys_personal_lock',
    text: `select ${COLUMNS} from api_keys where tenant_id = $1 and user_id = $2 order by id for update`,
    values: [tenantId, userId],
  };
}

export function deletePersonalKeys(tenantId: string, userId: string): Statement {
  return {
    name: 'api_keys_personal_delete',
    text: 'delete from api_keys where tenant_id = $1 and user_id = $2',
    values: [tenantId, userId],
  };
}

/** A person's own keys in these tenants, for the sign-in role bound to that person. */
export function deleteKeysOfPerson(userId: string, tenantIds: readonly string[]): Statement {
  return {
    name: 'api_keys_person_delete',
    text: 'delete from api_keys where user_id = $1 and tenant_id = any($2)',
    values: [userId, tenantIds],
  };
}

/** Those of them that were created or changed, or got a new text, from a time on. */
export function deleteKeysOfPersonSince(userId: string, tenantIds: readonly string[], since: Date): Statement {
  return {
    name: 'api_keys_person_delete_since',
    text: `delete from api_keys
            where user_id = $1 and tenant_id = any($3) and (created_at >= $2 or updated_at >= $2)`,
    values: [userId, since, tenantIds],
  };
}

/** Notes when keys were last used; of two processes the later time counts. */
export function noteUses(tenantId: string, uses: readonly { keyId: string; at: Date }[]): Statement {
  return {
    name: 'api_keys_note_uses',
    text: `update api_keys k set last_used_at = greatest(k.last_used_at, u.at)
             from unnest($2::uuid[], $3::timestamptz[]) as u (id, at) where k.tenant_id = $1 and k.id = u.id`,
    values: [tenantId, uses.map(({ keyId }) => keyId), uses.map(({ at }) => at.toISOString())],
  };
}

/**
 * Keys of every tenant that expire within a week, or have passed half of a shorter life, and without a notice to
 * members; as the role that sees only their times.
 */
export function findExpiring(now: Date, limit: number): Statement {
  return {
    name: 'api_keys_expiring',
    text: `select tenant_id, id from api_keys
            where expires_at > $1 and expires_at <= $1::timestamptz + interval '7 days' and notified_at is null
              and expires_at - (expires_at - created_at) / 2 <= $1
            order by expires_at limit $2`,
    values: [now, limit],
  };
}

/** Keys of every tenant that expired before a time; as the role that sees only their times. */
export function findExpired(before: Date, limit: number): Statement {
  return {
    name: 'api_keys_expired',
    text: 'select tenant_id, id from api_keys where expires_at < $1 order by expires_at limit $2',
    values: [before, limit],
  };
}

/** Deletes a key that expired before a time; no row if it has got another end, or another worker was faster. */
export function deleteExpired(tenantId: string, id: string, before: Date): Statement {
  return {
    name: 'api_key_delete_expired',
    text: 'delete from api_keys where tenant_id = $1 and id = $2 and expires_at < $3 returning name, expires_at',
    values: [tenantId, id, before],
  };
}

/** A key whose end members get a notice of. */
export interface NotifiedKeyRow extends Row {
  user_id: string | null;
  name: string;
  expires_at: Date;
}

/** Marks the notice of a key's end as sent; no row if another worker did it. */
export function markNotified(tenantId: string, id: string, now: Date): Statement {
  return {
    name: 'api_key_mark_notified',
    text: `update api_keys set notified_at = $3
            where tenant_id = $1 and id = $2 and notified_at is null and expires_at > $3
           returning user_id, name, expires_at`,
    values: [tenantId, id, now],
  };
}

/** Requests another notice of a key's end. */
export function clearNotified(tenantId: string, id: string): Statement {
  return {
    name: 'api_key_clear_notified',
    text: 'update api_keys set notified_at = null where tenant_id = $1 and id = $2',
    values: [tenantId, id],
  };
}
