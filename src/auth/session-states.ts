import { Injectable } from '@nestjs/common';
import { TenantDatabase } from '../platform/database/tenant-database';
import type { Role } from '../tenants/roles';
import { findSession, type SessionRow } from './sessions.queries';

/** How long an answer may be believed: with the time of one look-up it keeps the contract's two seconds. */
const FRESH_MS = 1_000;
const MAX_SESSIONS = 50_000;

/** What the guard needs to know of a live session. */
export interface SessionState {
  userId: string;
  /** The member's role now, whatever the token says. */
  role: Role;
}

interface Entry {
  readAt: number;
  state: SessionState | undefined;
}

/**
 * Whether sessions still count. A session is read at most once a second and process; within that second the answer is
 * kept, so that a revocation, a role change or a suspended tenant is seen within two, and a request costs no query.
 */
@Injectable()
export class SessionStates {
  private readonly entries = new Map<string, Entry>();
  private readonly reading = new Map<string, Promise<SessionState | undefined>>();

  constructor(private readonly database: TenantDatabase) {}

  /** The session's state, or undefined when it does not count (any more). Synchronous while it is fresh. */
  get(tenantId: string, sessionId: string): SessionState | undefined | Promise<SessionState | undefined> {
    const key = `${tenantId}/${sessionId}`;
    const entry = this.entries.get(key);
    if (entry && performance.now() - entry.readAt < FRESH_MS) return entry.state;
    let reading = this.reading.get(key);
    if (!reading) {
      reading = this.read(key, tenantId, sessionId).finally(() => this.reading.delete(key));
      this.reading.set(key, reading);
    }
    return reading;
  }

  /** Forgets what is known, so that this process sees a change at once. */
  forget(tenantId: string, sessionId: string): void {
    this.entries.delete(`${tenantId}/${sessionId}`);
  }

  private async read(key: string, tenantId: string, sessionId: string): Promise<SessionState | undefined> {
    // The age counts from before the question: what changes while it is asked is at most this old.
    const readAt = performance.now();
    const [row] = await this.database.read<SessionRow>({ tenantId }, findSession(tenantId, sessionId));
    const live = row && !row.revoked_at && !row.suspended_at && row.expires_at > new Date();
    const state = live ? { userId: row.user_id, role: row.role as Role } : undefined;
    this.entries.delete(key);
    this.entries.set(key, { readAt, state });
    for (const oldest of this.entries.keys()) {
      if (this.entries.size <= MAX_SESSIONS) break;
      this.entries.delete(oldest);
    }
    return state;
  }
}
