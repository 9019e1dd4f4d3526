import { Injectable } from '@nestjs/common';
import { TenantDatabase } from '../../platform/database/tenant-database';
import type { Role } from '../../tenants/roles';
import { findSession, type SessionRow } from './sessions.queries';

/** How long an answer may be believed: with the time of one look-up it keeps the contract's two seconds. */
const FRESH_MS = 1_000;
/** From when on the next one is fetched ahead: where reads stand in line, nobody waits for the state of a session as well. */
const AHEAD_MS = 500;
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
 * Whether sessions still count. An answer is kept for a second, and one that is asked for again and again is renewed while it
 * still counts; so a revocation, a role change or a suspended tenant is seen within two, and a request costs no query.
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
    const age = entry ? performance.now() - entry.readAt : Infinity;
    if (!entry || age >= FRESH_MS) return this.read(key, tenantId, sessionId);
    // Who asks once it does not count any more is told of what failed.
    if (age >= AHEAD_MS) this.read(key, tenantId, sessionId).catch(() => undefined);
    return entry.state;
  }

  /** Forgets what is known, so that this process sees a change at once. */
  forget(tenantId: string, sessionId: string): void {
    const key = `${tenantId}/${sessionId}`;
    this.entries.delete(key);
    // What is being read may be from before the change.
    this.reading.delete(key);
  }

  /** Reads it, once for all who ask meanwhile. */
  private read(key: string, tenantId: string, sessionId: string): Promise<SessionState | undefined> {
    const known = this.reading.get(key);
    if (known) return known;
    // The age counts from before the question: what changes while it is asked is at most this old.
    const readAt = performance.now();
    const reading = this.find(tenantId, sessionId)
      .then((state) => {
        if (this.reading.get(key) === reading) this.keep(key, { readAt, state });
        return state;
      })
      .finally(() => {
        if (this.reading.get(key) === reading) this.reading.delete(key);
      });
    this.reading.set(key, reading);
    return reading;
  }

  private async find(tenantId: string, sessionId: string): Promise<SessionState | undefined> {
    const [row] = await this.database.query<SessionRow>({ tenantId }, findSession(tenantId, sessionId));
    const live = row && !row.revoked_at && !row.suspended_at && row.expires_at > new Date();
    return live ? { userId: row.user_id, role: row.role as Role } : undefined;
  }

  private keep(key: string, entry: Entry): void {
    this.entries.delete(key);
    this.entries.set(key, entry);
    for (const oldest of this.entries.keys()) {
      if (this.entries.size <= MAX_SESSIONS) break;
      this.entries.delete(oldest);
    }
  }
}
