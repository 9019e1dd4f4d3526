/** The statements of second factors: in transactions of the sign-in role that are bound to the person. */
import type { Row, Statement } from '../../platform/database/sql/statement';

export interface TotpRow extends Row {
  secret: string;
  created_at: Date;
  confirmed_at: Date | null;
}

export function findTotp(userId: string): Statement {
  return {
    name: 'totp_find',
    text: 'select secret, created_at, confirmed_at from totp_factors where user_id = $1',
    values: [userId],
  };
}

/** The same, locked until the transaction ends. */
export function lockTotp(userId: string): Statement {
  return {
    name: 'totp_lock',
    text: 'select secret, created_at, confirmed_at from totp_factors where user_id = $1 for update',
    values: [userId],
  };
}

/** Puts the same secret in its place, encrypted with another key. */
export function replaceTotpSecret(userId: string, secret: string): Statement {
  return {
    name: 'totp_replace_secret',
    text: 'update totp_factors set secret = $2 where user_id = $1',
    values: [userId, secret],
  };
}

/** The encrypted secret of a person, as the role that compares keys sees it. */
export interface SecretRow extends Row {
  user_id: string;
  secret: string;
}

/** A page of all persons' secrets. */
export function listSecrets(after: string, limit: number): Statement {
  return {
    name: 'totp_list_secrets',
    text: 'select user_id, secret from totp_factors where user_id > $1 order by user_id limit $2',
    values: [after, limit],
  };
}

/** How many secrets each key has encrypted. */
export function countSecretsByKey(): Statement {
  return {
    name: 'totp_count_by_key',
    text: `select split_part(secret, '.', 2) as kid, count(*)::int as count from totp_factors group by 1`,
    values: [],
  };
}

/** Stores a secret until its confirmation; returns no row if one is already confirmed. */
export function offerTotp(userId: string, secret: string, now: Date): Statement {
  return {
    name: 'totp_offer',
    text: `insert into totp_factors (user_id, secret, created_at, last_step) values ($1, $2, $3, 0)
           on conflict (user_id) do update set secret = excluded.secret, created_at = excluded.created_at
             where totp_factors.confirmed_at is null
           returning 1`,
    values: [userId, secret, now],
  };
}

/** Confirms the waiting secret; the step of the code is used with it. Of two concurrent calls one succeeds. */
export function confirmTotp(userId: string, secret: string, step: number, now: Date): Statement {
  return {
    name: 'totp_confirm',
    text: `update totp_factors set confirmed_at = $4, last_step = $3
            where user_id = $1 and secret = $2 and confirmed_at is null returning 1`,
    values: [userId, secret, step, now],
  };
}

/** Uses a step; returns no row if it, or a later one, was used before. */
export function useStep(userId: string, step: number): Statement {
  return {
    name: 'totp_use_step',
    text: `update totp_factors set last_step = $2
            where user_id = $1 and confirmed_at is not null and last_step < $2 returning 1`,
    values: [userId, step],
  };
}

/** Removes the factor if it was offered or confirmed at this time or later. */
export function removeTotp(userId: string, since: Date): Statement {
  return {
    name: 'totp_remove',
    text: 'delete from totp_factors where user_id = $1 and greatest(created_at, confirmed_at) >= $2 returning confirmed_at',
    values: [userId, since],
  };
}

export function removeCodes(userId: string): Statement {
  return { name: 'recovery_codes_remove', text: 'delete from recovery_codes where user_id = $1', values: [userId] };
}

/** Those that were made at this time or later. */
export function removeCodesSince(userId: string, since: Date): Statement {
  return {
    name: 'recovery_codes_remove_since',
    text: 'delete from recovery_codes where user_id = $1 and created_at >= $2',
    values: [userId, since],
  };
}

export function insertCode(userId: string, position: number, hash: string, now: Date): Statement {
  return {
    name: `recovery_code_insert`,
    text: 'insert into recovery_codes (user_id, position, hash, created_at) values ($1, $2, $3, $4)',
    values: [userId, position, hash, now],
  };
}

export function findCode(userId: string, position: number): Statement {
  return {
    name: 'recovery_code_find',
    text: 'select hash from recovery_codes where user_id = $1 and position = $2 and used_at is null',
    values: [userId, position],
  };
}

/** Uses a code; of two concurrent calls one succeeds. */
export function useCode(userId: string, position: number, hash: string, now: Date): Statement {
  return {
    name: 'recovery_code_use',
    text: `update recovery_codes set used_at = $4
            where user_id = $1 and position = $2 and hash = $3 and used_at is null returning 1`,
    values: [userId, position, hash, now],
  };
}

export function countCodes(userId: string): Statement {
  return {
    name: 'recovery_codes_count',
    text: 'select count(*)::int as count from recovery_codes where user_id = $1 and used_at is null',
    values: [userId],
  };
}

export interface ChallengeRow extends Row {
  proof: { amr: string[]; authTime: string };
  wanted_tenant: string | null;
}

export function insertChallenge(
  userId: string,
  hash: Buffer,
  proof: string,
  tenantId: string | null,
  expiresAt: Date,
): Statement {
  return {
    name: 'challenge_insert',
    text: `insert into second_factor_challenges (user_id, token_hash, proof, wanted_tenant, tries, expires_at)
           values ($1, $2, $3, $4, 0, $5)`,
    values: [userId, hash, proof, tenantId, expiresAt],
  };
}

/** Counts an attempt; returns no row if the challenge is used, expired, or out of attempts. */
export function countAttempt(userId: string, hash: Buffer, maxAttempts: number, now: Date): Statement {
  return {
    name: 'challenge_try',
    text: `update second_factor_challenges set tries = tries + 1
            where user_id = $1 and token_hash = $2 and tries < $3 and expires_at > $4 and spent_at is null
           returning proof, wanted_tenant`,
    values: [userId, hash, maxAttempts, now],
  };
}

/** Uses the challenge; of two concurrent calls one succeeds. */
export function spendChallenge(userId: string, hash: Buffer, now: Date): Statement {
  return {
    name: 'challenge_spend',
    text: `update second_factor_challenges set spent_at = $3
            where user_id = $1 and token_hash = $2 and spent_at is null returning 1`,
    values: [userId, hash, now],
  };
}

/** Raises the session that enrolled the factor. */
export function raiseSession(home: string, sessionId: string, amr: string): Statement {
  return {
    name: 'session_raise',
    text: `update sessions set acr = 'aal2', amr = array_append(amr, $3::text) where tenant_id = $1 and id = $2`,
    values: [home, sessionId, amr],
  };
}
