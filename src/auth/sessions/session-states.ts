import { Injectable } from '@nestjs/common';
import { TenantDatabase } from '../../platform/database/tenant-database';
import type { LimitedKind, Session } from '../../platform/http/requests/caller';
import { type Permission, permissionsOfRole } from '../../platform/permissions/permissions';
import { EpochCache, type ReadState } from '../../platform/revocation/epoch-cache';
import { Epochs } from '../../platform/revocation/epochs';
import { WHOLE_TENANT } from '../../platform/revocation/epochs.queries';
import { findSession, type SessionRow, sessionOf } from './sessions.queries';

/** A live session, as a request needs it. */
export interface SessionState {
  kind: 'tenant' | LimitedKind;
  session: Session;
  /** The member's role now, whatever the token says; empty without a tenant. */
  role: string;
  permissions: ReadonlySet<Permission>;
  expiresAt: Date;
}

const NONE: ReadonlySet<Permission> = new Set();

/** Whether sessions still count. A known state costs no query as long as its epochs have not moved. */
@Injectable()
export class SessionStates {
  private readonly cache: EpochCache<SessionState | undefined>;

  constructor(
    private readonly database: TenantDatabase,
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

  /** Forgets a session, so that this process sees its change at once. */
  forget(home: string, sessionId: string): void {
    this.cache.forget(`${home}/${sessionId}`);
  }

  private async read(home: string, sessionId: string): Promise<ReadState<SessionState | undefined>> {
    const [row] = await this.database.query<SessionRow>({ tenantId: home }, findSession(home, sessionId));
    if (!row) return { state: undefined, epochs: [{ tenantId: home, userId: WHOLE_TENANT, epoch: 0 }] };
    return {
      state: stateOf(row),
      epochs: [
        { tenantId: home, userId: WHOLE_TENANT, epoch: row.tenant_epoch },
        { tenantId: home, userId: row.user_id, epoch: row.person_epoch },
      ],
    };
  }
}

function stateOf(row: SessionRow): SessionState | undefined {
  if (row.revoked_at) return undefined;
  const known = { session: sessionOf(row), expiresAt: row.expires_at };
  if (row.kind !== 'tenant') return { ...known, kind: row.kind, role: '', permissions: NONE };
  if (row.role === null || row.status !== 'active' || row.suspended_at) return undefined;
  if (row.closed_at) return { ...known, kind: 'closed', role: row.role, permissions: NONE };
  return { ...known, kind: 'tenant', role: row.role, permissions: permissionsOfRole(row.role, row.permissions) };
}
