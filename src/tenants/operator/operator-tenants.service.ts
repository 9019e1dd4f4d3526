import { Injectable } from '@nestjs/common';
import { MembersDatabase } from '../../platform/database/roles/members-database';
import { OperatorDatabase } from '../../platform/database/roles/operator-database';
import { SignInDatabase } from '../../platform/database/roles/sign-in-database';
import { TenantDatabase, type TenantScope } from '../../platform/database/tenant-database';
import { NotFound } from '../../platform/errors';
import { TenantContents } from '../../platform/hooks/tenant-contents';
import { newTimedId } from '../../platform/ids/ids';
import { raiseEpoch, WHOLE_TENANT } from '../../platform/revocation/epochs.queries';
import { CompanyService } from '../company/company.service';
import { newTenant, Tenant } from '../tenant.entity';
import * as queries from './operator-tenants.queries';

const TENANTS_A_PAGE = 1_000;
const TENANTS_AT_ONCE = 4;

/** A tenant of the list of tenants. */
export type ListedTenant = Pick<Tenant, 'id' | 'name' | 'createdAt' | 'suspendedAt'>;

/** The operator's view of a tenant. */
export interface TenantDetails {
  /** Counts by name, such as `endpoints`. */
  counts: Readonly<Record<string, number>>;
  memberCount: number;
  /** The first of the members, owners first. */
  members: readonly queries.ListedMember[];
}

/** All tenants, as the operator's commands list, make and suspend them. */
@Injectable()
export class OperatorTenants {
  constructor(
    private readonly operator: OperatorDatabase,
    private readonly signIn: SignInDatabase,
    private readonly database: TenantDatabase,
    private readonly people: MembersDatabase,
    private readonly contents: TenantContents,
    private readonly company: CompanyService,
  ) {}

  /** The tenants behind an id, oldest first. */
  async list(after: string | undefined, limit: number, onlySuspended: boolean): Promise<ListedTenant[]> {
    const rows = await this.operator.query<queries.TenantRow>(queries.listTenants(after, limit, onlySuspended));
    return rows.map(listed);
  }

  /** @throws NotFound */
  async find(id: string): Promise<ListedTenant> {
    const [row] = await this.operator.query<queries.TenantRow>(queries.findTenant(id));
    if (!row) throw new NotFound('Tenant', id);
    return listed(row);
  }

  /** The contents of a tenant, with at most so many members. */
  async details(tenantId: string, limit: number): Promise<TenantDetails> {
    const [members, [counted], counts] = await Promise.all([
      this.people.query<queries.ListedMember>({ tenantId }, queries.listMembers(tenantId, limit)),
      this.database.query<{ count: number }>({ tenantId }, queries.countMembers(tenantId)),
      this.contents.of(tenantId),
    ]);
    return { counts, memberCount: counted?.count ?? 0, members };
  }

  /** Makes a tenant without any member. @returns its id */
  async create(name: string): Promise<string> {
    const { id, at } = newTimedId();
    const tenant = newTenant(id, name, at);
    await this.signIn.transaction({ tenantId: id }, (tx) => tx.repository(Tenant).insert(tenant));
    return id;
  }

  /**
   * Suspends a tenant from a time on, or resumes it. Every process follows within two seconds.
   * @returns the tenant, or undefined without a change
   */
  async suspend(id: string, at: Date | null): Promise<ListedTenant | undefined> {
    const [row] = await this.operator.query<queries.TenantRow>(queries.markSuspended(id, at));
    await this.operator.query(raiseEpoch(id, WHOLE_TENANT));
    await this.company.recordSuspension(id, at);
    return row && listed(row);
  }

  /** Does something for each tenant, suspended ones too, a few at a time. Tenants that are made meanwhile come last. */
  async forEvery(work: (scope: TenantScope) => Promise<void>): Promise<void> {
    for (let after: string | undefined; ;) {
      const page = await this.list(after, TENANTS_A_PAGE, false);
      for (let at = 0; at < page.length; at += TENANTS_AT_ONCE) {
        await Promise.all(page.slice(at, at + TENANTS_AT_ONCE).map(({ id }) => work({ tenantId: id })));
      }
      if (page.length < TENANTS_A_PAGE) return;
      after = page[page.length - 1]?.id;
    }
  }
}

function listed(row: queries.TenantRow): ListedTenant {
  return { id: row.id, name: row.name, createdAt: row.created_at, suspendedAt: row.suspended_at };
}
