import { Injectable, type OnModuleInit } from '@nestjs/common';
import { MembersDatabase } from '../../platform/database/roles/members-database';
import type { Row } from '../../platform/database/sql/statement';
import { TenantDatabase } from '../../platform/database/tenant-database';
import { Hooks, type MailAudience, type MailAudienceAddresses } from '../../platform/hooks/hooks';
import { BUILT_IN_ROLES, type Permission, permissionsOfRole } from '../../platform/permissions/permissions';
import { listCustomRoles, type RoleRow } from '../roles/roles.queries';
import { findTenantName } from '../tenants.queries';
import { findMember, findMembersWithRole, type MemberRow } from './members.queries';

/** The maximum number of members who get one notice. */
const MAX_ADDRESSES = 100;

/** Determines the members of a tenant who get a notice. */
@Injectable()
export class MailAudiences implements OnModuleInit {
  constructor(
    private readonly hooks: Hooks,
    private readonly database: TenantDatabase,
    private readonly people: MembersDatabase,
  ) {}

  onModuleInit(): void {
    this.hooks.mailAudience.handleWith(({ tenantId, audience }) => this.find(tenantId, audience));
  }

  private async find(tenantId: string, audience: MailAudience): Promise<MailAudienceAddresses> {
    const [[tenant], members] = await Promise.all([
      this.database.query<{ name: string } & Row>({ tenantId }, findTenantName(tenantId)),
      'userId' in audience ? this.member(tenantId, audience.userId) : this.holders(tenantId, audience.permission),
    ]);
    const addresses = members.map(({ email, name }) => ({ address: email, name }));
    return { tenantName: tenant?.name ?? '', addresses: tenant ? addresses : [] };
  }

  private async member(tenantId: string, userId: string): Promise<MemberRow[]> {
    const found = await this.people.query<MemberRow>({ tenantId }, findMember(tenantId, userId));
    return found.filter(({ status }) => status === 'active');
  }

  private async holders(tenantId: string, permission: Permission): Promise<MemberRow[]> {
    const custom = await this.database.query<RoleRow>({ tenantId }, listCustomRoles(tenantId));
    const roles = [
      ...BUILT_IN_ROLES.filter((role) => permissionsOfRole(role, null).has(permission)),
      ...custom.filter(({ name, permissions }) => permissionsOfRole(name, permissions).has(permission)).map(nameOf),
    ];
    return this.people.query<MemberRow>({ tenantId }, findMembersWithRole(tenantId, roles, MAX_ADDRESSES));
  }
}

function nameOf({ name }: RoleRow): string {
  return name;
}
