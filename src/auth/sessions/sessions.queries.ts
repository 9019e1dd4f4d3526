/** Sessions and refresh tokens. `home` is the tenant's id, or the person's for a session without a tenant. */
import { createHash } from 'node:crypto';
import type { Row, Statement } from '../../platform/database/sql/statement';
import type { Assurance, Session } from '../../platform/http/requests/caller';
import type { FactorRule } from './tenant-rules';
import { WHOLE_TENANT } from '../../platform/revocation/epochs.queries';

/** The columns of a session, including those that are null for a session of the previous release. */
export interface SessionColumns extends Row {
  session_id: string;
  home: string;
  user_id: string;
  kind: 'tenant' | 'account' | 'restore';
  family_id: string | null;
  signed_in_at: Date | null;
  amr: string[];
  acr: Assurance;
  auth_time: Date | null;
  connection_id: string | null;
  created_at: Date;
  expires_at: Date;
  revoked_at: Date | null;
  last_seen_at: Date | null;
  session_idle_minutes: number | null;
  session_max_days: number | null;
}

/** A refresh token with the columns that decide about it. */
export interface RefreshRow extends SessionColumns {
  role: string | null;
  status: 'active' | 'suspended' | 'unconfirmed' | null;
  token_expires_at: Date;
  used_at: Date | null;
  token_revoked_at: Date | null;
  suspended_at: Date | null;
}

/** A session with the columns that decide about its validity, and the epochs at the time of the read. */
export interface SessionRow extends SessionColumns, FactorRule {
  /** Empty where every network is allowed; null without a tenant. */
  allowed_cidrs: string[] | null;
  role: string | null;
  status: 'active' | 'suspended' | 'unconfirmed' | null;
  /** Those of a custom role. */
  permissions: string[] | null;
  suspended_at: Date | null;
  closed_at: Date | null;
  tenant_epoch: number;
  person_epoch: number;
}

const COLUMNS = `s.id as session_id, s.tenant_id as home, s.user_id, s.kind, s.family_id, s.signed_in_at, s.amr, s.acr, s.auth_time,
                  s.connection_id, s.created_at, s.expires_at, s.revoked_at, s.last_seen_at, t.session_idle_minutes, t.session_max_days`;

export function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** The session that a row describes. */
export function sessionOf(row: SessionColumns): Session {
  return {
    id: row.session_id,
    home: row.home,
    userId: row.user_id,
    familyId: row.family_id ?? row.session_id,
    amr: row.amr,
    acr: row.acr,
    authTime: row.auth_time ?? row.created_at,
    signedInAt: row.signed_in_at ?? row.created_at,
    connectionId: row.connection_id,
  };
}

export function insertSession(
  home: string,
  session: Omit<Session, 'home'> & {
    kind: SessionColumns['kind'];
    createdAt: Date;
    expiresAt: Date;
    network: string;
    userAgent: string;
  },
): Statement {
  return {
    name: 'session_insert',
    text: `insert into sessions (tenant_id, id, user_id, kind, family_id, signed_in_at, amr, acr, auth_time, connection_id,
                                 created_at, expires_at, last_seen_at, network, user_agent)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $11, $13, $14)`,
    values: [
      home,
      session.id,
      session.userId,
      session.kind,
      session.familyId,
      session.signedInAt,
      session.amr,
      session.acr,
      session.authTime,
      session.connectionId,
      session.createdAt,
      session.expiresAt,
      session.network,
      session.userAgent,
    ],
  };
}

export function insertRefreshToken(
  home: string,
  token: { hash: Buffer; sessionId: string; createdAt: Date; expiresAt: Date },
): Statement {
  return {
    name: 'refresh_token_insert',
    text: `insert into refresh_tokens (tenant_id, token_hash, session_id, created_at, expires_at)
           values ($1, $2, $3, $4, $5)`,
    values: [home, token.hash, token.sessionId, token.createdAt, token.expiresAt],
  };
}

/** Locks the token's row: of several concurrent uses, one succeeds and the others find it used. */
export function lockRefreshToken(home: string, hash: Buffer): Statement {
  return {
    name: 'refresh_token_lock',
    text: `select ${COLUMNS}, m.role, m.status, r.expires_at as token_expires_at, r.used_at, r.revoked_at as token_revoked_at,
                  t.suspended_at
             from refresh_tokens r
             join sessions s on s.tenant_id = r.tenant_id and s.id = r.session_id
             left join memberships m on m.tenant_id = s.tenant_id and m.user_id = s.user_id
             left join tenants t on t.id = r.tenant_id
            where r.tenant_id = $1 and r.token_hash = $2
              for update of r`,
    values: [home, hash],
  };
}

export function findRefreshToken(home: string, hash: Buffer): Statement {
  return {
    name: 'refresh_token_find',
    text: 'select used_at from refresh_tokens where tenant_id = $1 and token_hash = $2',
    values: [home, hash],
  };
}

export function spendRefreshToken(home: string, hash: Buffer, now: Date): Statement {
  return {
    name: 'refresh_token_spend',
    text: 'update refresh_tokens set used_at = $3 where tenant_id = $1 and token_hash = $2 and used_at is null',
    values: [home, hash, now],
  };
}

export function touchSession(home: string, sessionId: string, now: Date): Statement {
  return {
    name: 'session_touch',
    text: 'update sessions set last_seen_at = $3 where tenant_id = $1 and id = $2',
    values: [home, sessionId, now],
  };
}

export function revokeRefreshTokens(home: string, sessionId: string, now: Date): Statement {
  return {
    name: 'refresh_tokens_revoke',
    text: 'update refresh_tokens set revoked_at = $3 where tenant_id = $1 and session_id = $2 and revoked_at is null',
    values: [home, sessionId, now],
  };
}

/** Ends the live sessions of one member of a tenant. */
export function revokeMember(tenantId: string, userId: string, now: Date): Statement {
  return {
    name: 'sessions_revoke_member',
    text: `update sessions set revoked_at = $3
            where tenant_id = $1 and user_id = $2 and revoked_at is null and expires_at > $3
           returning tenant_id, id`,
    values: [tenantId, userId, now],
  };
}

/** Ends a family of sessions, in all tenants; as the sign-in role, bound to the person. */
export function revokeFamily(userId: string, familyId: string, homes: readonly string[] | null, now: Date): Statement {
  return {
    name: 'sessions_revoke_family',
    text: `update sessions set revoked_at = $3
            where user_id = $1 and (family_id = $2 or id = $2) and revoked_at is null and expires_at > $3
              and ($4::uuid[] is null or tenant_id = any($4))
           returning tenant_id, id`,
    values: [userId, familyId, now, homes],
  };
}

/** Ends all sessions of a person but one; as the sign-in role, bound to the person. */
export function revokeOthers(
  userId: string,
  keptId: string | null,
  homes: readonly string[] | null,
  now: Date,
): Statement {
  return {
    name: 'sessions_revoke_others',
    text: `update sessions set revoked_at = $3
            where user_id = $1 and revoked_at is null and expires_at > $3 and ($2::uuid is null or id <> $2)
              and ($4::uuid[] is null or tenant_id = any($4))
           returning tenant_id, id`,
    values: [userId, keptId, now, homes],
  };
}

/** Ends one session of a person; as the sign-in role, bound to the person. */
export function revokeOwnSession(home: string, userId: string, id: string, now: Date): Statement {
  return {
    name: 'session_revoke_own',
    text: 'update sessions set revoked_at = $4 where tenant_id = $1 and user_id = $2 and id = $3 and revoked_at is null',
    values: [home, userId, id, now],
  };
}

/** Forgets the sign-ins of a person that wait for a second factor; as the sign-in role, bound to the person. */
export function dropChallenges(userId: string): Statement {
  return {
    name: 'challenges_drop',
    text: 'delete from second_factor_challenges where user_id = $1',
    values: [userId],
  };
}

/** Ends one session if it is live, and returns whether it was. */
export function replaceSession(home: string, sessionId: string, now: Date): Statement {
  return {
    name: 'session_replace',
    text: `update sessions set revoked_at = $3 where tenant_id = $1 and id = $2 and revoked_at is null
           returning tenant_id, id`,
    values: [home, sessionId, now],
  };
}

/** A page of a person's live sessions, newest first; as the sign-in role, bound to the person. */
export function listSessions(
  userId: string,
  afterId: string | undefined,
  limit: number,
  homes: readonly string[] | null,
  now: Date,
): Statement {
  return {
    name: 'sessions_list',
    text: `select id, tenant_id, kind, family_id, created_at, last_seen_at, network, user_agent, amr from sessions
            where user_id = $1 and id < $2 and revoked_at is null and expires_at > $3
              and ($5::uuid[] is null or tenant_id = any($5)) order by id desc limit $4`,
    values: [userId, afterId ?? 'ffffffff-ffff-ffff-ffff-ffffffffffff', now, limit, homes],
  };
}

/** A live session of a person; as the sign-in role, bound to the person. */
export function findOwnSession(userId: string, id: string, homes: readonly string[] | null, now: Date): Statement {
  return {
    name: 'session_find_own',
    text: `select id, tenant_id, coalesce(family_id, id) as family_id from sessions
            where user_id = $1 and id = $2 and revoked_at is null and expires_at > $3
              and ($4::uuid[] is null or tenant_id = any($4))`,
    values: [userId, id, now, homes],
  };
}

export function touchMembership(tenantId: string, userId: string, now: Date): Statement {
  return {
    name: 'membership_touch',
    text: 'update memberships set last_used_at = $3 where tenant_id = $1 and user_id = $2',
    values: [tenantId, userId, now],
  };
}

export function findSession(home: string, sessionId: string): Statement {
  return {
    name: 'session_find',
    text: `select ${COLUMNS}, m.role, m.status, c.permissions, t.suspended_at, t.closed_at,
                  t.second_factor, t.second_factor_grace_days, t.second_factor_since, t.allowed_cidrs,
                  m.created_at as joined_at,
                  coalesce(w.epoch, 0) as tenant_epoch, coalesce(p.epoch, 0) as person_epoch
             from sessions s
             left join memberships m on m.tenant_id = s.tenant_id and m.user_id = s.user_id
             left join tenants t on t.id = s.tenant_id
             left join roles c on c.tenant_id = s.tenant_id and c.name = m.role
             left join tenant_auth_state w on w.tenant_id = s.tenant_id and w.user_id = '${WHOLE_TENANT}'
             left join tenant_auth_state p on p.tenant_id = s.tenant_id and p.user_id = s.user_id
            where s.tenant_id = $1 and s.id = $2`,
    values: [home, sessionId],
  };
}

/** A session as its person is shown it. */
export interface OwnSessionRow extends Row {
  id: string;
  tenant_id: string;
  kind: string;
  created_at: Date;
  last_seen_at: Date | null;
  network: string | null;
  user_agent: string | null;
  amr: string[];
}

/** The newest sessions of a person, ended ones too; as the sign-in role, bound to the person. */
export function findOwnSessions(userId: string): Statement {
  return {
    name: 'sessions_own',
    text: `select id, tenant_id, kind, created_at, last_seen_at, network, user_agent, amr from sessions
            where user_id = $1 order by id desc limit 1000`,
    values: [userId],
  };
}
