/** One-time tokens, as the sign-in role that is bound to their subject. */
import type { Row, Statement } from '../../platform/database/sql/statement';

export interface OneTimeTokenRow extends Row {
  kind: string;
  data: Record<string, unknown>;
}

export function insertToken(
  subjectId: string,
  token: { hash: Buffer; kind: string; data: Record<string, unknown>; createdAt: Date; expiresAt: Date },
): Statement {
  return {
    name: 'one_time_token_insert',
    text: `insert into one_time_tokens (subject_id, token_hash, kind, data, created_at, expires_at)
           values ($1, $2, $3, $4, $5, $6)`,
    values: [subjectId, token.hash, token.kind, JSON.stringify(token.data), token.createdAt, token.expiresAt],
  };
}

/** A live token; locked, so that of several concurrent uses one succeeds. */
export function lockToken(subjectId: string, hash: Buffer, now: Date): Statement {
  return {
    name: 'one_time_token_lock',
    text: `select kind, data from one_time_tokens
            where subject_id = $1 and token_hash = $2 and spent_at is null and expires_at > $3 for update`,
    values: [subjectId, hash, now],
  };
}

export function spendToken(subjectId: string, hash: Buffer, now: Date): Statement {
  return {
    name: 'one_time_token_spend',
    text: `update one_time_tokens set spent_at = $3
            where subject_id = $1 and token_hash = $2 and spent_at is null and expires_at > $3 returning kind, data`,
    values: [subjectId, hash, now],
  };
}

/** Voids the live tokens of some kinds. */
export function voidTokens(subjectId: string, kinds: readonly string[], now: Date): Statement {
  return {
    name: 'one_time_tokens_void',
    text: `update one_time_tokens set spent_at = $3
            where subject_id = $1 and kind = any ($2::text[]) and spent_at is null`,
    values: [subjectId, kinds, now],
  };
}

/** Voids those of one kind that were made at a time or later. */
export function voidTokensSince(subjectId: string, kind: string, since: Date, now: Date): Statement {
  return {
    name: 'one_time_tokens_void_since',
    text: `update one_time_tokens set spent_at = $4
            where subject_id = $1 and kind = $2 and created_at >= $3 and spent_at is null`,
    values: [subjectId, kind, since, now],
  };
}

/** The newest live token of a kind, and its creation time. */
export function findNewest(subjectId: string, kind: string, now: Date): Statement {
  return {
    name: 'one_time_token_newest',
    text: `select kind, data, created_at from one_time_tokens
            where subject_id = $1 and kind = $2 and spent_at is null and expires_at > $3
            order by created_at desc limit 1`,
    values: [subjectId, kind, now],
  };
}
