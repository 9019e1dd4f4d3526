import { Injectable } from '@nestjs/common';
import { TenantDatabase } from '../../platform/database/tenant-database';
import type { LimitedKind, Session } from '../../platform/http/requests/caller';
import { type Permission, permissionsOfRole } from '../../platform/permissions/permissions';
import { EpochCache, type ReadState } from '../../platform/revocation/epoch-cache';
import { Epochs } from '../../platform/revocation/epochs';
import { WHOLE_TENANT } from '../../platform/revocation/epochs.queries';
import { SecondFactors } from '../second-factor/second-factors';
import { findSession, type SessionRow, sessionOf, touchSession } from './sessions.queries';
import { demandsFactor, endByRules } from './tenant-rules';

/** A live session, as a request needs it. */
export interface SessionState {
  kind: 'tenant' | LimitedKind;
  session: Session;
  /** The current role of the member, which may differ from that in the token; empty without a tenant. */
  role: string;
  permissions: ReadonlySet<Permission>;
  /** The networks from which the session counts; empty for all. */
  allowedCidrs: readonly string[];
  expiresAt: Date;
}

const NONE: ReadonlySet<Permission> = new Set();
const SEEN_EVERY_MS = 60_000;

/** Whether sessions still count. A known state costs no query as long as its epochs have not moved. */
@Injectable()
export class SessionStates {
  private readonly cache: EpochCache<SessionState | undefined>;

  constructor(
    private readonly database: TenantDatabase,
    private readonly factors: SecondFactors,
    epochs: Epochs,
  ) {
    this.cache = new EpochCache(epochs);
  }

  /**
   * The session's state, or undefined when it does not count (any more). Synchronous while it is current.
   * @param home the tenant's id; the person's for a session without a tenant
   */
  get(home: string, sessionId: string): SessionState | undefined | Promise<SessionState | undefined> {
    return this.cache.get(`${home}/${sessionId}`, () => this.read(home, sessionId));
  }

  /** Drops a session, so that this process sees its change immediately. */
  forget(home: string, sessionId: string): void {
    this.cache.forget(`${home}/${sessionId}`);
  }

  private async read(home: string, sessionId: string): Promise<ReadState<SessionState | undefined>> {
    const [row] = await this.database.query<SessionRow>({ tenantId: home }, findSession(home, sessionId));
    if (!row) return { state: undefined, epochs: [{ tenantId: home, userId: WHOLE_TENANT, epoch: 0 }] };
    const state = await this.stateOf(row);
    if (state && row.last_seen_at && new Date().getTime() - row.last_seen_at.getTime() > SEEN_EVERY_MS) {
      // Activity is recorded a minute late at most; after a failure, the next activity is recorded.
      this.database.write({ tenantId: home }, touchSession(home, sessionId, new Date())).catch(() => undefined);
    }
    return {
      state,
      epochs: [
        { tenantId: home, userId: WHOLE_TENANT, epoch: row.tenant_epoch },
        { tenantId: home, userId: row.user_id, epoch: row.person_epoch },
      ],
    };
  }

  private async stateOf(row: SessionRow): Promise<SessionState | undefined> {
    if (row.revoked_at) return undefined;
    const now = new Date();
    const session = sessionOf(row);
    const known = { session, expiresAt: row.expires_at, allowedCidrs: row.allowed_cidrs ?? [] };
    if (row.kind !== 'tenant') return { ...known, kind: row.kind, role: '', permissions: NONE };
    if (row.role === null || row.status !== 'active' || row.suspended_at) return undefined;
    const end = endByRules(row, row.last_seen_at ?? row.created_at, session.signedInAt);
    if (end && end <= now) return undefined;
    const limited = { ...known, role: row.role, permissions: NONE };
    if (row.closed_at) return { ...limited, kind: 'closed' };
    // A provider of the tenant's own is responsible for its people.
    if (session.acr === 'aal1' && session.connectionId === null && row.second_factor === 'required') {
      const methods = await this.factors.methodsOf(session.userId);
      if (methods.length > 0) return { ...limited, kind: 'step-up' };
      if (demandsFactor(row, now)) return { ...limited, kind: 'enrol' };
    }
    return { ...limited, kind: 'tenant', permissions: permissionsOfRole(row.role, row.permissions) };
  }
}
