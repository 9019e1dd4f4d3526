import { createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { uuidv7 } from 'uuidv7';
import { type Config, required } from '../../platform/config/config';
import { CONFIG } from '../../platform/config/config.module';
import { TenantDatabase, type TenantTransaction } from '../../platform/database/tenant-database';
import { Unauthorized } from '../../platform/errors';
import * as queries from './sessions.queries';

const DAY_MS = 24 * 60 * 60 * 1000;
/** A client that lost the answer to its refresh may ask again for this long, and gets the same successor. */
const RETRY_GRACE_MS = 10_000;
const TOKEN = /^rt_([0-9a-f]{32})_([A-Za-z0-9_-]{43})$/;

/** A session, and the refresh token that continues it. */
export interface ContinuedSession {
  sessionId: string;
  userId: string;
  tenantId: string;
  role: string;
  refreshToken: string;
}

/**
 * Sessions and their refresh tokens. A token names its tenant, so that it is looked up among that tenant's rows like
 * everything else, and is otherwise 32 bytes of which only the hash is kept. A successor is derived from its parent with
 * a key of ours: the parent's holder can be given it again, and nobody can compute it from the database.
 */
@Injectable()
export class Sessions {
  private readonly key: Buffer;
  private readonly idleMs: number;
  private readonly absoluteMs: number;

  constructor(
    @Inject(CONFIG) config: Config,
    private readonly database: TenantDatabase,
  ) {
    this.key = Buffer.from(hkdfSync('sha256', required(config, 'JWT_SECRET'), '', 'refresh-token', 32));
    this.idleMs = config.REFRESH_TOKEN_EXPIRE_DAYS * DAY_MS;
    this.absoluteMs = config.SESSION_EXPIRE_DAYS * DAY_MS;
  }

  /** Begins a session of a member, in the transaction given. */
  begin(tx: TenantTransaction, userId: string): { sessionId: string; refreshToken: string } {
    const now = new Date();
    const sessionId = uuidv7();
    const expiresAt = new Date(now.getTime() + this.absoluteMs);
    const refreshToken = formatToken(tx.tenantId, randomBytes(32));
    tx.defer(queries.insertSession(tx.tenantId, { id: sessionId, userId, createdAt: now, expiresAt }));
    tx.defer(this.tokenRow(tx.tenantId, sessionId, refreshToken, now, expiresAt));
    return { sessionId, refreshToken };
  }

  /**
   * Spends a refresh token for its successor. A token that was spent before revokes its session, except while its
   * retry may still be answered.
   * @throws Unauthorized for anything but the newest token of a live session
   */
  async refresh(token: string): Promise<ContinuedSession> {
    const { tenantId, hash } = this.parse(token);
    const outcome = await this.database.transaction({ tenantId }, async (tx) => {
      const [row] = await tx.query<queries.RefreshRow>(queries.lockRefreshToken(tenantId, hash));
      const now = new Date();
      if (!row || !isLive(row, now)) return 'refused';
      const successor = formatToken(tenantId, createHmac('sha256', this.key).update(token).digest());
      if (row.used_at) {
        const [next] = await tx.query<{ used_at: Date | null }>(
          queries.findRefreshToken(tenantId, this.hash(successor)),
        );
        const retry = now.getTime() - row.used_at.getTime() <= RETRY_GRACE_MS && next && !next.used_at;
        if (!retry) {
          tx.defer(queries.revokeSession(tenantId, row.session_id, now));
          tx.defer(queries.revokeRefreshTokens(tenantId, row.session_id, now));
          return 'reused';
        }
      } else {
        tx.defer(queries.spendRefreshToken(tenantId, hash, now));
        tx.defer(this.tokenRow(tenantId, row.session_id, successor, now, row.session_expires_at));
        tx.defer(queries.touchMembership(tenantId, row.user_id, now));
      }
      return { sessionId: row.session_id, userId: row.user_id, tenantId, role: row.role, refreshToken: successor };
    });
    if (typeof outcome === 'string') {
      throw new Unauthorized('The refresh token is not valid.', {
        invalidToken: true,
        internal: `refresh token ${outcome}`,
      });
    }
    return outcome;
  }

  /** Ends the session of a refresh token, spent or not. @throws Unauthorized for a token that was never given out */
  async end(token: string): Promise<{ tenantId: string; sessionId: string }> {
    const { tenantId, hash } = this.parse(token);
    return this.database.transaction({ tenantId }, async (tx) => {
      const [row] = await tx.query<queries.RefreshRow>(queries.lockRefreshToken(tenantId, hash));
      if (!row) throw new Unauthorized('The refresh token is not valid.', { invalidToken: true });
      const now = new Date();
      tx.defer(queries.revokeSession(tenantId, row.session_id, now));
      tx.defer(queries.revokeRefreshTokens(tenantId, row.session_id, now));
      return { tenantId, sessionId: row.session_id };
    });
  }

  private tokenRow(tenantId: string, sessionId: string, token: string, now: Date, sessionExpiresAt: Date) {
    const idleUntil = now.getTime() + this.idleMs;
    const expiresAt = new Date(Math.min(idleUntil, sessionExpiresAt.getTime()));
    return queries.insertRefreshToken(tenantId, { hash: this.hash(token), sessionId, createdAt: now, expiresAt });
  }

  private parse(token: string): { tenantId: string; hash: Buffer } {
    const match = TOKEN.exec(token);
    if (!match) throw new Unauthorized('The refresh token is not valid.', { invalidToken: true });
    const hex = match[1] as string;
    const tenantId = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
    return { tenantId, hash: this.hash(token) };
  }

  private hash(token: string): Buffer {
    return queries.sha256(token);
  }
}

function isLive(row: queries.RefreshRow, now: Date): boolean {
  return (
    !row.revoked_at &&
    !row.session_revoked_at &&
    !row.suspended_at &&
    row.expires_at > now &&
    row.session_expires_at > now
  );
}

function formatToken(tenantId: string, secret: Buffer): string {
  return `rt_${tenantId.replaceAll('-', '')}_${secret.toString('base64url')}`;
}
