import { Injectable } from '@nestjs/common';
import { SignInDatabase } from '../../platform/database/roles/sign-in-database';
import { NotFound } from '../../platform/errors';
import type { Person } from '../../platform/http/requests/caller';
import type { PageDto } from '../../platform/http/requests/page.dto';
import { type JsonPage } from '../../platform/http/responses/results';
import { Cursors } from '../../platform/http/responses/pagination';
import { homesOf } from '../../tenants/memberships';
import { Sessions } from '../sessions/sessions';
import { findOwnSession, listSessions, type OwnSessionRow } from '../sessions/sessions.queries';
import { SignIn } from '../sign-in/sign-in';
import type { PersonSessionView } from './account.views';

/** A person's sessions, over all of the person's tenants. */
@Injectable()
export class PersonSessions {
  constructor(
    private readonly database: SignInDatabase,
    private readonly sessions: Sessions,
    private readonly signIn: SignIn,
    private readonly cursors: Cursors,
  ) {}

  /** A page, newest first. @throws AppError `invalid_cursor` */
  list({ userId, session }: Person, page: PageDto): Promise<JsonPage> {
    const scope = { tenant: { tenantId: userId }, list: 'own-sessions', filters: {} };
    return this.cursors.page(scope, page, async (afterId, count) => {
      const now = new Date();
      const read = await this.database.readHomes<OwnSessionRow>(
        userId,
        (tx) => homesOf(tx, userId),
        (homes) => listSessions(userId, afterId, count, homes, now),
      );
      const rows = read.sort((a, b) => (a.id < b.id ? 1 : -1)).slice(0, count);
      const tenants = await this.tenantsOf(rows);
      return rows.map((row) => {
        const view = viewOf(row, tenants.get(row.tenant_id) ?? null, row.id === session.id);
        return { id: row.id, json: JSON.stringify(view) };
      });
    });
  }

  /** Ends a session, and those that descend from the same sign-in. @throws NotFound */
  async end({ userId }: Person, id: string): Promise<void> {
    const now = new Date();
    const [found] = await this.database.readHomes<{ family_id: string }>(
      userId,
      (tx) => homesOf(tx, userId),
      (homes) => findOwnSession(userId, id, homes, now),
    );
    if (!found) throw new NotFound('Session', id);
    await this.sessions.endFamily(userId, found.family_id, 'ended_by_person');
  }

  /** Ends all sessions but the current one. */
  async endOthers({ userId, session }: Person): Promise<void> {
    await this.database.transaction({ userId }, (tx) =>
      this.sessions.revokePerson(tx, userId, 'ended_by_person', session.id),
    );
  }

  private async tenantsOf(rows: readonly OwnSessionRow[]): Promise<Map<string, { id: string; name: string }>> {
    const tenants = new Map<string, { id: string; name: string }>();
    for (const id of new Set(rows.filter((row) => row.kind === 'tenant').map((row) => row.tenant_id))) {
      const { name } = await this.signIn.tenant(id);
      tenants.set(id, { id, name });
    }
    return tenants;
  }
}

function viewOf(row: OwnSessionRow, tenant: PersonSessionView['tenant'], current: boolean): PersonSessionView {
  return {
    id: row.id,
    tenant,
    created_at: row.created_at.toISOString(),
    last_seen_at: (row.last_seen_at ?? row.created_at).toISOString(),
    network: row.network,
    user_agent: row.user_agent,
    amr: row.amr,
    current,
  };
}
