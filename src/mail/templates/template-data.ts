/** The values of each template. Declared here for `Mailer.send`, which checks a mail against it. */
import '../../platform/mail/mailer';

/** The known origin of an action. */
export interface WhereAndWhen {
  /** RFC 3339. */
  at: string;
  network?: string | null;
  userAgent?: string | null;
}

interface WithToken {
  /** A one-time token; the link has it in its fragment. */
  token: string;
}

interface InTenant {
  tenantName: string;
}

declare module '../../platform/mail/mailer' {
  interface MailTemplates {
    /** Proves the mailbox of a registration or of an account. */
    verify_email: WithToken;
    /** A registration with an address that has an account. */
    address_known: WhereAndWhen;
    reset_password: WithToken;
    /** To the new address of an account. */
    confirm_email: WithToken;
    /** To the old address of an account whose address has changed. */
    undo_email: WithToken & { newEmail: string };
    invitation: WithToken & InTenant & { inviterName: string; role: string };
    /** The operator's test. */
    test: { at: string };
    new_sign_in: WhereAndWhen;
    password_changed: WhereAndWhen;
    factor_added: WhereAndWhen & { factor: 'totp' | 'passkey' };
    factor_removed: WhereAndWhen & { factor: 'totp' | 'passkey' };
    recovery_code_used: WhereAndWhen & { left: number };
    recovery_codes_renewed: WhereAndWhen;
    /** The operator removes a second factor after a day, unless the person objects. */
    factor_reset_announced: { at: string; effectiveAt: string };
    api_key_created: WhereAndWhen & InTenant & { keyName: string; kind: 'tenant' | 'personal' };
    api_key_expiring: InTenant & { keyName: string; expiresAt: string };
    role_changed: InTenant & { from: string; to: string };
    member_added: InTenant & { memberEmail: string; role: string };
    member_removed: InTenant & { memberEmail: string };
    removed_from_tenant: InTenant;
    endpoint_disabled: InTenant & { url: string; reason: string };
    sso_changed: InTenant & { what: string };
    owner_deactivated: InTenant & { ownerEmail: string };
    /** The operator makes a member an owner after a day, unless an owner signs in. */
    owner_change_announced: InTenant & { memberEmail: string; effectiveAt: string };
    tenant_closed: InTenant & { erasedAt: string };
    tenant_relaxed: InTenant & { what: string };
    account_deleted: { erasedAt: string };
  }
}
