import { createHash } from 'node:crypto';
import type { Row, Statement } from '../../platform/database/sql/statement';

/** A refresh token with what decides over it. */
export interface RefreshRow extends Row {
  session_id: string;
  user_id: string;
  role: string;
  expires_at: Date;
  used_at: Date | null;
  revoked_at: Date | null;
  session_expires_at: Date;
  session_revoked_at: Date | null;
  suspended_at: Date | null;
}

/** What the guard must know of a session. */
export interface SessionRow extends Row {
  user_id: string;
  role: string;
  expires_at: Date;
  revoked_at: Date | null;
  suspended_at: Date | null;
}

export function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

export function insertSession(
  tenantId: string,
  session: { id: string; userId: string; createdAt: Date; expiresAt: Date },
): Statement {
  return {
    name: 'session_insert',
    text: 'insert into sessions (tenant_id, id, user_id, created_at, expires_at) values ($1, $2, $3, $4, $5)',
    values: [tenantId, session.id, session.userId, session.createdAt, session.expiresAt],
  };
}

export function insertRefreshToken(
  tenantId: string,
  token: { hash: Buffer; sessionId: string; createdAt: Date; expiresAt: Date },
): Statement {
  return {
    name: 'refresh_token_insert',
    text: `insert into refresh_tokens (tenant_id, token_hash, session_id, created_at, expires_at)
           values ($1, $2, $3, $4, $5)`,
    values: [tenantId, token.hash, token.sessionId, token.createdAt, token.expiresAt],
  };
}

/** Locks the token's row: of several uses at once, one spends it and the others see it spent. */
export function lockRefreshToken(tenantId: string, hash: Buffer): Statement {
  return {
    name: 'refresh_token_lock',
    text: `select r.session_id, s.user_id, m.role, r.expires_at, r.used_at, r.revoked_at,
                  s.expires_at as session_expires_at, s.revoked_at as session_revoked_at, t.suspended_at
             from refresh_tokens r
             join sessions s on s.tenant_id = r.tenant_id and s.id = r.session_id
             join memberships m on m.tenant_id = s.tenant_id and m.user_id = s.user_id
             join tenants t on t.id = r.tenant_id
            where r.tenant_id = $1 and r.token_hash = $2
              for update of r`,
    values: [tenantId, hash],
  };
}

export function findRefreshToken(tenantId: string, hash: Buffer): Statement {
  return {
    name: 'refresh_token_find',
    text: 'select used_at from refresh_tokens where tenant_id = $1 and token_hash = $2',
    values: [tenantId, hash],
  };
}

export function spendRefreshToken(tenantId: string, hash: Buffer, now: Date): Statement {
  return {
    name: 'refresh_token_spend',
    text: 'update refresh_tokens set used_at = $3 where tenant_id = $1 and token_hash = $2 and used_at is null',
    values: [tenantId, hash, now],
  };
}

export function revokeSession(tenantId: string, sessionId: string, now: Date): Statement {
  return {
    name: 'session_revoke',
    text: 'update sessions set revoked_at = $3 where tenant_id = $1 and id = $2 and revoked_at is null',
    values: [tenantId, sessionId, now],
  };
}

export function revokeRefreshTokens(tenantId: string, sessionId: string, now: Date): Statement {
  return {
    name: 'refresh_tokens_revoke',
    text: 'update refresh_tokens set revoked_at = $3 where tenant_id = $1 and session_id = $2 and revoked_at is null',
    values: [tenantId, sessionId, now],
  };
}

export function touchMembership(tenantId: string, userId: string, now: Date): Statement {
  return {
    name: 'membership_touch',
    text: 'update memberships set last_used_at = $3 where tenant_id = $1 and user_id = $2',
    values: [tenantId, userId, now],
  };
}

export function findSession(tenantId: string, sessionId: string): Statement {
  return {
    name: 'session_find',
    text: `select s.user_id, m.role, s.expires_at, s.revoked_at, t.suspended_at
             from sessions s
             join memberships m on m.tenant_id = s.tenant_id and m.user_id = s.user_id
             join tenants t on t.id = s.tenant_id
            where s.tenant_id = $1 and s.id = $2`,
    values: [tenantId, sessionId],
  };
}
