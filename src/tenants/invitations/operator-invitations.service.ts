import { Injectable } from '@nestjs/common';
import { AuditLog } from '../../platform/audit/audit-log';
import { TenantDatabase } from '../../platform/database/tenant-database';
import { NotFound, ValidationFailed } from '../../platform/errors';
import { isEmail } from '../../platform/http/requests/text-formats';
import { newTimedId } from '../../platform/ids/ids';
import { Mailer } from '../../platform/mail/mailer';
import { emailKey } from '../../platform/net/email-key';
import { findRole } from '../roles/role-catalogue';
import { lockMembers } from '../tenant-lock';
import { Tenant } from '../tenant.entity';
import { BY_OPERATOR, newInvitationToken } from './invitation-token';
import { deleteInvitationOf, insertInvitation } from './invitations.queries';

const LIFE_MS = 7 * 24 * 60 * 60 * 1000;

/** An invitation of the operator, who hands over its token only if no mail carries it. */
export interface OperatorInvitation {
  tenantName: string;
  expiresAt: Date;
  token: string | null;
}

/** Invitations that the operator makes: of a first owner, or where mail is not configured. */
@Injectable()
export class OperatorInvitations {
  constructor(
    private readonly database: TenantDatabase,
    private readonly audit: AuditLog,
    private readonly mailer: Mailer,
  ) {}

  /** Invites an address in place of any invitation that it has. @throws NotFound; ValidationFailed */
  invite(tenantId: string, email: string, roleName: string): Promise<OperatorInvitation> {
    if (email.length > 254 || !isEmail(email)) {
      throw new ValidationFailed([{ field: 'email', message: 'must be an e-mail address', code: 'email' }]);
    }
    return this.database.transaction({ tenantId }, async (tx) => {
      await lockMembers(tx);
      const tenant = await tx.repository(Tenant).findOneBy({ id: tenantId });
      if (!tenant) throw new NotFound('Tenant', tenantId);
      const role = await findRole(tx, roleName);
      if (!role) throw new NotFound('Role', roleName);
      const { id, at } = newTimedId();
      const key = emailKey(email);
      const expiresAt = new Date(at.getTime() + LIFE_MS);
      const { text, hash } = newInvitationToken(tenantId);
      await tx.query(deleteInvitationOf(tenantId, key));
      const row = { tenantId, id, email, emailKey: key, role: role.name, invitedBy: BY_OPERATOR, version: 1 };
      await tx.query(insertInvitation({ ...row, createdAt: at, expiresAt }, hash));
      const data = { token: text, tenantName: tenant.name, inviterName: tenant.name, role: role.name };
      this.mailer.send(tx, { to: { address: email }, template: 'invitation', data, tenantId });
      this.audit.record(
        tx,
        { tenantId, actor: { type: 'operator', id: null } },
        { action: 'member.invited', target: { type: 'invitation', id }, changes: { role: [null, role.name] } },
      );
      return { tenantName: tenant.name, expiresAt, token: this.mailer.isConfigured ? null : text };
    });
  }
}
