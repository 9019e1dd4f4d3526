import { createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { uuidv7 } from 'uuidv7';
import { REFRESH_TOKEN_REUSED, SecurityLog } from '../../platform/audit/security-log';
import { Config, required } from '../../platform/config/config';
import { SignInDatabase } from '../../platform/database/roles/sign-in-database';
import { TenantDatabase, type TenantTransaction } from '../../platform/database/tenant-database';
import type { Transaction } from '../../platform/database/transaction';
import { Unauthorized } from '../../platform/errors';
import type { Session } from '../../platform/http/requests/caller';
import { Epochs } from '../../platform/revocation/epochs';
import { homesOf } from '../../tenants/memberships';
import type { Client, Proof } from '../proofs/proof';
import { type EndedSession, SessionEnds } from './session-ends';
import type { RevocationReason } from './session-event-types';
import * as queries from './sessions.queries';
import { endByRules } from './tenant-rules';

const DAY_MS = 24 * 60 * 60 * 1000;
/** A client that lost the response to its refresh may repeat it for this long, and gets the same successor. */
const RETRY_GRACE_MS = 10_000;
const TOKEN = /^rt_([0-9a-f]{32})_([A-Za-z0-9_-]{43})$/;

/** A session that begins: a person's, in a tenant or without one. */
export interface NewSession {
  userId: string;
  kind: queries.SessionColumns['kind'];
  proof: Proof;
  client: Client;
}

/** What finds a session. */
type SessionKey = Pick<Session, 'home' | 'userId' | 'id'>;

/** A session, and the refresh token that continues it. */
export interface ContinuedSession {
  sessionId: string;
  userId: string;
  /** Null for a session without a tenant. */
  tenantId: string | null;
  role: string | null;
  refreshToken: string;
}

/** The proof that a session descends from: switching keeps how and when the person signed in. */
export function proofOf(session: Session): Proof {
  const { amr, acr, authTime, connectionId, familyId, signedInAt } = session;
  return { amr, acr, authTime, connectionId, familyId, parent: session, signedInAt };
}

/**
 * Sessions and their refresh tokens. A token names its home (the tenant; the person for a session without one), so that
 * the look-up searches only those rows, and is otherwise 32 bytes of which only the hash is stored. A successor is
 * derived from its parent with a key of the service: the parent's holder can get it again, and the database does not
 * contain it.
 */
@Injectable()
export class Sessions {
  private readonly key: Buffer;
  private readonly idleMs: number;
  private readonly absoluteMs: number;

  constructor(
    config: Config,
    private readonly database: TenantDatabase,
    private readonly signInDatabase: SignInDatabase,
    private readonly epochs: Epochs,
    private readonly ends: SessionEnds,
    private readonly security: SecurityLog,
  ) {
    this.key = Buffer.from(hkdfSync('sha256', required(config, 'JWT_SECRET'), '', 'refresh-token', 32));
    this.idleMs = config.REFRESH_TOKEN_EXPIRE_DAYS * DAY_MS;
    this.absoluteMs = config.SESSION_EXPIRE_DAYS * DAY_MS;
  }

  /** Begins a session in the transaction given, which is of the tenant, or of the person's own id for one without. */
  begin(tx: TenantTransaction, start: NewSession): { sessionId: string; refreshToken: string } {
    const now = new Date();
    const id = uuidv7();
    const { proof } = start;
    const signedInAt = proof.signedInAt ?? now;
    const expiresAt = new Date(signedInAt.getTime() + this.absoluteMs);
    const refreshToken = formatToken(tx.tenantId, randomBytes(32));
    tx.defer(
      queries.insertSession(tx.tenantId, {
        id,
        userId: start.userId,
        kind: start.kind,
        familyId: proof.familyId ?? id,
        amr: proof.amr,
        acr: proof.acr,
        authTime: proof.authTime,
        signedInAt,
        connectionId: proof.connectionId,
        createdAt: now,
        expiresAt,
        ...start.client,
      }),
    );
    tx.defer(this.tokenRow(tx.tenantId, id, refreshToken, now, expiresAt));
    return { sessionId: id, refreshToken };
  }

  /**
   * Exchanges a refresh token for its successor. A token that was used before revokes its family, except while its
   * retry is still allowed.
   * @throws Unauthorized for anything but the newest token of a live session
   */
  async refresh(token: string, network?: string): Promise<ContinuedSession> {
    const { home, hash } = parse(token);
    const outcome = await this.database.transaction({ tenantId: home }, async (tx) => {
      const [row] = await tx.query<queries.RefreshRow>(queries.lockRefreshToken(home, hash));
      const now = new Date();
      if (!row || !isLive(row, now)) return 'refused' as const;
      const successor = formatToken(home, createHmac('sha256', this.key).update(token).digest());
      if (row.used_at) {
        const [next] = await tx.query<{ used_at: Date | null }>(
          queries.findRefreshToken(home, queries.sha256(successor)),
        );
        const retry = now.getTime() - row.used_at.getTime() <= RETRY_GRACE_MS && next && !next.used_at;
        if (!retry) {
          await this.endOne(tx, row, 'refresh_token_reused', now);
          return queries.sessionOf(row);
        }
      } else {
        tx.defer(queries.spendRefreshToken(home, hash, now));
        tx.defer(this.tokenRow(home, row.session_id, successor, now, row.expires_at));
        tx.defer(queries.touchSession(home, row.session_id, now));
        if (row.kind === 'tenant') tx.defer(queries.touchMembership(home, row.user_id, now));
      }
      return {
        sessionId: row.session_id,
        userId: row.user_id,
        tenantId: row.kind === 'tenant' ? home : null,
        role: row.role,
        refreshToken: successor,
      };
    });
    if (outcome === 'refused') throw invalidToken('refresh token refused');
    if ('familyId' in outcome) {
      const { id: sessionId, userId } = outcome;
      const tenantId = home === userId ? undefined : home;
      const event = { action: REFRESH_TOKEN_REUSED, outcome: 'denied' as const, tenantId, sessionId, network };
      this.security.note({ ...event, actor: `user:${userId}` });
      await this.endFamily(outcome.userId, outcome.familyId, 'refresh_token_reused');
      throw invalidToken('refresh token reused');
    }
    return outcome;
  }

  /**
   * Ends the session of a refresh token, used or not, and those that descend from the same sign-in. @throws
   * Unauthorized
   */
  async end(token: string): Promise<{ home: string; session: Session }> {
    const { home, hash } = parse(token);
    const session = await this.database.transaction({ tenantId: home }, async (tx) => {
      const [row] = await tx.query<queries.RefreshRow>(queries.lockRefreshToken(home, hash));
      if (!row) throw invalidToken();
      await this.endOne(tx, row, 'signed_out', new Date());
      return queries.sessionOf(row);
    });
    await this.endFamily(session.userId, session.familyId, 'signed_out');
    return { home, session };
  }

  /**
   * Ends a session in favour of its successor, in the transaction of its home: of several concurrent calls, one
   * succeeds.
   * @throws Unauthorized if it has ended
   */
  async replace(tx: TenantTransaction, { id, userId }: Session): Promise<void> {
    const now = new Date();
    const [ended] = await tx.query(queries.replaceSession(tx.tenantId, id, now));
    if (!ended) throw new Unauthorized('The session has ended.', { invalidToken: true });
    tx.defer(queries.revokeRefreshTokens(tx.tenantId, id, now));
    this.epochs.raiseMember(tx, userId);
  }

  /** Ends the sessions of one member in the transaction's tenant. */
  async revokeMember(tx: TenantTransaction, userId: string, reason: RevocationReason): Promise<void> {
    const ended = await tx.query<EndedSession>(queries.revokeMember(tx.tenantId, userId, new Date()));
    this.epochs.raiseMember(tx, userId);
    this.ends.report(tx, userId, ended, reason);
  }

  /**
   * Ends a person's sessions in every tenant, and sign-ins that wait for their second factor, in a transaction of the
   * sign-in role bound to that person.
   */
  async revokePerson(
    tx: Transaction,
    userId: string,
    reason: RevocationReason,
    keptId: string | null = null,
  ): Promise<void> {
    const homes = await homesOf(tx, userId);
    const ended = await tx.query<EndedSession>(queries.revokeOthers(userId, keptId, homes, new Date()));
    tx.defer(queries.dropChallenges(userId));
    this.reportEnds(tx, userId, ended, reason);
  }

  /** Invalidates the states of a person's credentials in every process. */
  raisePerson(tx: Transaction, userId: string, tenantIds: readonly string[]): void {
    this.epochs.raisePerson(tx, userId, tenantIds);
  }

  /** Whether a session has not ended, in a transaction of the sign-in role bound to its person. */
  async isLive(tx: Transaction, { home, userId, id }: SessionKey): Promise<boolean> {
    const found = await tx.query(queries.findOwnSession(userId, id, [home], new Date()));
    return found.length > 0;
  }

  /** Ends a session before its first use, in a transaction of the sign-in role bound to its person. */
  abandon(tx: Transaction, { home, userId, id }: SessionKey): void {
    tx.defer(queries.revokeOwnSession(home, userId, id, new Date()));
  }

  /** Ends every session that descends from one sign-in. */
  async endFamily(userId: string, familyId: string, reason: RevocationReason): Promise<void> {
    await this.signInDatabase.transaction({ userId }, async (tx) => {
      const homes = await homesOf(tx, userId);
      const ended = await tx.query<EndedSession>(queries.revokeFamily(userId, familyId, homes, new Date()));
      if (ended.length > 0) this.reportEnds(tx, userId, ended, reason);
    });
  }

  /** Ends one session in the transaction of its home; one that has ended before stays as it is. */
  private async endOne(
    tx: TenantTransaction,
    { user_id: userId, session_id: id }: queries.RefreshRow,
    reason: RevocationReason,
    now: Date,
  ): Promise<void> {
    const ended = await tx.query<EndedSession>(queries.replaceSession(tx.tenantId, id, now));
    tx.defer(queries.revokeRefreshTokens(tx.tenantId, id, now));
    this.epochs.raiseMember(tx, userId);
    this.ends.report(tx, userId, ended, reason);
  }

  private reportEnds(tx: Transaction, userId: string, ended: readonly EndedSession[], reason: RevocationReason): void {
    const homes = [...new Set(ended.map((row) => row.tenant_id))];
    this.epochs.raisePerson(tx, userId, homes);
    this.ends.report(tx, userId, ended, reason);
  }

  private tokenRow(home: string, sessionId: string, token: string, now: Date, sessionExpiresAt: Date) {
    const idleUntil = now.getTime() + this.idleMs;
    const expiresAt = new Date(Math.min(idleUntil, sessionExpiresAt.getTime()));
    return queries.insertRefreshToken(home, { hash: queries.sha256(token), sessionId, createdAt: now, expiresAt });
  }
}

function parse(token: string): { home: string; hash: Buffer } {
  const match = TOKEN.exec(token);
  if (!match) throw invalidToken();
  const hex = match[1] as string;
  const home = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  return { home, hash: queries.sha256(token) };
}

function isLive(row: queries.RefreshRow, now: Date): boolean {
  const hasPlace = row.kind !== 'tenant' || (row.status === 'active' && !row.suspended_at);
  const end = endByRules(row, row.last_seen_at ?? row.created_at, row.signed_in_at ?? row.created_at);
  if (end && end <= now) return false;
  return hasPlace && !row.token_revoked_at && !row.revoked_at && row.token_expires_at > now && row.expires_at > now;
}

function formatToken(home: string, secret: Buffer): string {
  return `rt_${home.replaceAll('-', '')}_${secret.toString('base64url')}`;
}

function invalidToken(internal?: string): Unauthorized {
  return new Unauthorized('The refresh token is not valid.', { invalidToken: true, internal });
}
