/** The content of each mail. */
import type { MailTemplates } from '../../platform/mail/mailer';
import { chosen, type MailContent } from './layout';
import type { WhereAndWhen } from './template-data';

/** Makes the address of a page that takes a one-time token; the token is in the fragment, which no server sees. */
export type LinkTo = (path: string, token: string) => string;

type Templates = { [Name in keyof MailTemplates]: (data: MailTemplates[Name], link: LinkTo) => MailContent };

const NOT_ME = 'If it was not you, reset your password at once and tell your administrator.';
const IGNORE = 'If you did not ask for this, ignore this mail: nothing changes.';
const FACTORS = { totp: 'authenticator app', passkey: 'passkey' } as const;

function where({ at, network, userAgent }: WhereAndWhen): [string, string][] {
  const rows: [string, string | null | undefined][] = [
    ['When', `${at.slice(0, 16).replace('T', ' ')} UTC`],
    ['From', network],
    ['With', userAgent && chosen(userAgent)],
  ];
  return rows.filter((row): row is [string, string] => Boolean(row[1]));
}

function day(time: string): string {
  return time.slice(0, 10);
}

/** A notice of a change of an account. */
function notice(subject: string, sentence: string, data: WhereAndWhen): MailContent {
  return { subject, paragraphs: [sentence], details: where(data), closing: NOT_ME };
}

export const TEMPLATES: Templates = {
  verify_email: ({ token }, link) => ({
    subject: 'Confirm your e-mail address',
    paragraphs: ['Confirm that this mailbox is yours. The link is valid for 24 hours.'],
    action: { label: 'Confirm the address', url: link('/verify-email', token) },
    closing: IGNORE,
  }),
  address_known: (data) => ({
    subject: 'You already have an account',
    paragraphs: [
      'A registration was tried with this address, which has an account already. Sign in, or reset the password.',
    ],
    details: where(data),
    closing: IGNORE,
  }),
  reset_password: ({ token }, link) => ({
    subject: 'Reset your password',
    paragraphs: ['Choose a new password. The link is valid for 30 minutes, and all sessions end when it is used.'],
    action: { label: 'Choose a new password', url: link('/reset-password', token) },
    closing: IGNORE,
  }),
  confirm_email: ({ token }, link) => ({
    subject: 'Confirm your new e-mail address',
    paragraphs: ['Confirm that this mailbox is yours; then your account moves to it. The link is valid for 24 hours.'],
    action: { label: 'Confirm the address', url: link('/confirm-email', token) },
    closing: IGNORE,
  }),
  undo_email: ({ token, newEmail }, link) => ({
    subject: 'Your e-mail address was changed',
    paragraphs: [
      `Your account has moved to ${chosen(newEmail)}.`,
      'If it was not you, take it back within 72 hours: the old address is put back, the password and newer keys end, and so do all sessions.',
    ],
    action: { label: 'Take the account back', url: link('/undo-email', token) },
  }),
  invitation: ({ token, tenantName, inviterName, role }, link) => ({
    subject: `Invitation to ${chosen(tenantName)}`,
    paragraphs: [
      `${chosen(inviterName)} invites you to ${chosen(tenantName)} as ${chosen(role)}. The invitation is valid for 7 days.`,
    ],
    action: { label: 'Look at the invitation', url: link('/accept-invitation', token) },
    closing: 'If you do not know the sender, ignore this mail: nothing changes.',
  }),
  test: ({ at }) => ({
    subject: 'Test of mail',
    paragraphs: ['Mail works: this one was sent by the command `admin mail test`.'],
    details: where({ at }),
  }),
  new_sign_in: (data) =>
    notice('New sign-in', 'Your account was signed in to from a network that it was not used from before.', data),
  password_changed: (data) => notice('Your password was changed', 'The password of your account was changed.', data),
  factor_added: (data) =>
    notice('A second factor was added', `A second factor was added to your account: ${FACTORS[data.factor]}.`, data),
  factor_removed: (data) =>
    notice(
      'A second factor was removed',
      `A second factor was removed from your account: ${FACTORS[data.factor]}.`,
      data,
    ),
  recovery_code_used: (data) =>
    notice(
      'A recovery code was used',
      `A recovery code was used to sign in. ${data.left} of your codes are left.`,
      data,
    ),
  recovery_codes_renewed: (data) =>
    notice(
      'New recovery codes',
      'New recovery codes were created for your account. The old ones no longer work.',
      data,
    ),
  factor_reset_announced: ({ at, effectiveAt }) => ({
    subject: 'Your second factor will be removed',
    paragraphs: [
      `The operator received a request to remove the second factor of your account. It will be removed at ${effectiveAt.slice(0, 16).replace('T', ' ')} UTC.`,
      'Signing in with the second factor cancels this.',
    ],
    details: where({ at }),
    closing: NOT_ME,
  }),
  api_key_created: (data) =>
    notice(
      'An API key was made',
      `The ${data.kind === 'tenant' ? 'API key' : 'personal API key'} “${chosen(data.keyName)}” was created in ${chosen(data.tenantName)}.`,
      data,
    ),
  api_key_expiring: ({ keyName, tenantName, expiresAt }) => ({
    subject: 'An API key expires soon',
    paragraphs: [
      `The API key “${chosen(keyName)}” of ${chosen(tenantName)} expires on ${day(expiresAt)}. Rotate it before that.`,
    ],
  }),
  role_changed: ({ tenantName, from, to }) => ({
    subject: `Your role in ${chosen(tenantName)} was changed`,
    paragraphs: [`You were ${chosen(from)} in ${chosen(tenantName)}, and are ${chosen(to)} now.`],
  }),
  member_added: ({ tenantName, memberEmail, role }) => ({
    subject: `A member joined ${chosen(tenantName)}`,
    paragraphs: [`${chosen(memberEmail)} is a member of ${chosen(tenantName)} now, as ${chosen(role)}.`],
  }),
  member_removed: ({ tenantName, memberEmail }) => ({
    subject: `A member left ${chosen(tenantName)}`,
    paragraphs: [`${chosen(memberEmail)} is no longer a member of ${chosen(tenantName)}.`],
  }),
  removed_from_tenant: ({ tenantName }) => ({
    subject: `You are no longer a member of ${chosen(tenantName)}`,
    paragraphs: [
      `Your membership of ${chosen(tenantName)} has ended, and with it your sessions and personal keys there.`,
    ],
  }),
  endpoint_disabled: ({ tenantName, url, reason }) => ({
    subject: 'A webhook endpoint was disabled',
    paragraphs: [`An endpoint of ${chosen(tenantName)} is sent nothing any more: ${chosen(url)}.`, `Reason: ${reason}`],
    closing: 'Its events are kept. Enable it again, and recover the missed events.',
  }),
  sso_changed: ({ tenantName, what }) => ({
    subject: `Single sign-on of ${chosen(tenantName)} was changed`,
    paragraphs: [what],
    closing: NOT_ME,
  }),
  owner_deactivated: ({ tenantName, ownerEmail }) => ({
    subject: `The last owner of ${chosen(tenantName)} was deactivated`,
    paragraphs: [
      `The directory has deactivated ${chosen(ownerEmail)}, the last owner of ${chosen(tenantName)}. Sessions and personal keys of that account have ended.`,
      'Make another member an owner.',
    ],
  }),
  tenant_closed: ({ tenantName, erasedAt }) => ({
    subject: `${chosen(tenantName)} was closed`,
    paragraphs: [
      `${chosen(tenantName)} was closed, and will be erased on ${day(erasedAt)}. Until then an owner can restore it.`,
    ],
  }),
  owner_change_announced: ({ tenantName, memberEmail, effectiveAt }) => ({
    subject: `${chosen(tenantName)} will have another owner`,
    paragraphs: [
      `An operator was asked to make ${chosen(memberEmail)} an owner of ${chosen(tenantName)}. This is possible from ${effectiveAt.slice(0, 16).replace('T', ' ')} UTC on.`,
      'A sign-in of an owner cancels this.',
    ],
    closing: 'If none of you asked for this, tell the operator.',
  }),
  tenant_relaxed: ({ tenantName, what }) => ({
    subject: `A rule of ${chosen(tenantName)} was lifted by the operator`,
    paragraphs: [what],
    closing: 'If none of the owners requested this, inform the operator.',
  }),
  account_deleted: ({ erasedAt }) => ({
    subject: 'Your account was closed',
    paragraphs: [
      `Your account was closed, and will be erased on ${day(erasedAt)}. Until then you can sign in and restore it.`,
    ],
    closing: NOT_ME,
  }),
};
