/**
 * The company. Nouns: a *tenant* is the unit of isolation, a *member* a person's place in it, a *role* a named set of
 * permissions (four built in, at most 50 custom ones), an *invitation* an offer of a place to an e-mail address, a
 * *policy* a rule of the tenant for its sessions and keys.
 *
 * The flow: a change locks the tenant's row first, so that changes of members and roles happen one after the other;
 * writes the change, its audit row and its event in one transaction; and raises the tenant's epoch, so that every
 * process reads the state of its credentials again.
 *
 * Invariants: an open tenant has an active owner; a caller grants no permission that it lacks, and changes
 * no member or role with more permissions than its own; a change reaches every live credential within two seconds.
 */
import { Module } from '@nestjs/common';
import { DatabaseModule } from '../platform/database/database.module';
import { MembersDatabase } from '../platform/database/roles/members-database';
import { TenantContents } from '../platform/hooks/tenant-contents';
import { HttpPlatformModule } from '../platform/http/http.module';
import { EventCatalogue } from '../platform/outbox/event-catalogue';
import { OutboxModule } from '../platform/outbox/outbox.module';
import { COMPANY_EVENT_TYPES } from './company/company-event-types';
import { SSO_EVENT_TYPES } from './company/sso-event-types';
import { CompanyController } from './company/company.controller';
import { CompanyService } from './company/company.service';
import { INVITATION_EVENT_TYPES } from './invitations/invitation-event-types';
import { countPendingInvitations } from './invitations/invitations.queries';
import { InvitationsController } from './invitations/invitations.controller';
import { Invitation } from './invitations/invitation.entity';
import { InvitationsService } from './invitations/invitations.service';
import { JoiningService } from './invitations/joining.service';
import { Membership } from './membership.entity';
import { OperatorOwners } from './members/operator-owners.service';
import { OperatorInvitations } from './invitations/operator-invitations.service';
import { MEMBER_EVENT_TYPES } from './members/member-event-types';
import { MembersController } from './members/members.controller';
import { MembersService } from './members/members.service';
import { CustomRole } from './roles/role.entity';
import { RolesController } from './roles/roles.controller';
import { RolesService } from './roles/roles.service';
import { Tenant } from './tenant.entity';
import './tenants.permissions';
import { UsageController } from './usage/usage.controller';
import { AuditPlatformModule } from '../platform/audit/audit.module';
import { HooksModule } from '../platform/hooks/hooks.module';
import { MailPlatformModule } from '../platform/mail/mail.module';
import { RevocationModule } from '../platform/revocation/revocation.module';

@Module({
  imports: [
    AuditPlatformModule,
    DatabaseModule.forFeature([Tenant, Membership, CustomRole, Invitation]),
    HooksModule,
    HttpPlatformModule,
    MailPlatformModule,
    OutboxModule,
    RevocationModule,
  ],
  controllers: [CompanyController, InvitationsController, MembersController, RolesController, UsageController],
  providers: [
    CompanyService,
    InvitationsService,
    JoiningService,
    MembersDatabase,
    MembersService,
    OperatorInvitations,
    OperatorOwners,
    RolesService,
  ],
  exports: [CompanyService, JoiningService, MembersService, OperatorInvitations, OperatorOwners],
})
export class TenantsModule {
  constructor(types: EventCatalogue, contents: TenantContents) {
    contents.register('pending_invitations', (tenantId) => countPendingInvitations(tenantId, new Date()));
    types.add(...COMPANY_EVENT_TYPES, ...INVITATION_EVENT_TYPES, ...MEMBER_EVENT_TYPES, ...SSO_EVENT_TYPES);
  }
}
