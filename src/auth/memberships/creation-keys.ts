/** Idempotency keys of persons, as the sign-in role that is bound to the person. */
import type { Row, Statement } from '../../platform/database/sql/statement';

const LIFETIME_MS = 24 * 60 * 60 * 1000;

/** The result of a key; without a body until its response is stored. */
export interface CreationRow extends Row {
  request_hash: Buffer;
  made_id: string;
  body: string | null;
  created_at: Date;
}

/** Locks the key until the transaction ends; `locked` is false where another transaction holds it. */
export function lockCreationKey(userId: string, key: string): Statement {
  return {
    name: 'account_key_lock',
    text: 'select pg_try_advisory_xact_lock(hashtextextended($1, 11)) as locked',
    values: [JSON.stringify([userId, key])],
  };
}

export function findCreation(userId: string, key: string, now: Date): Statement {
  return {
    name: 'account_key_find',
    text: `select request_hash, made_id, body, created_at from account_idempotency_keys
            where user_id = $1 and key = $2 and expires_at > $3`,
    values: [userId, key, now],
  };
}

export function insertCreation(userId: string, key: string, hash: Buffer, madeId: string, now: Date): Statement {
  return {
    name: 'account_key_insert',
    text: `insert into account_idempotency_keys (user_id, key, request_hash, made_id, created_at, expires_at)
           values ($1, $2, $3, $4, $5, $6)
           on conflict (user_id, key) do update set request_hash = excluded.request_hash, made_id = excluded.made_id,
             body = null, created_at = excluded.created_at, expires_at = excluded.expires_at`,
    values: [userId, key, hash, madeId, now, new Date(now.getTime() + LIFETIME_MS)],
  };
}

export function storeCreationBody(userId: string, key: string, madeId: string, body: string): Statement {
  return {
    name: 'account_key_store',
    text: 'update account_idempotency_keys set body = $4 where user_id = $1 and key = $2 and made_id = $3',
    values: [userId, key, madeId, body],
  };
}
