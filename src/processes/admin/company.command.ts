/** Commands that create, open and close companies, and let people in without mail. */
import { linkTo } from '../../mail/sending/mail-sender';
import { UsageError } from '../lifecycle';
import { CompanyService } from '../../tenants/company/company.service';
import { type OperatorInvitation, OperatorInvitations } from '../../tenants/invitations/operator-invitations.service';
import { OperatorOwners } from '../../tenants/members/operator-owners.service';
import { OperatorTenants } from '../../tenants/operator/operator-tenants.service';
import { type Command, type Invocation, printable, readId, type Report } from './command';

export const createCommand: Command = {
  summary: 'Creates a tenant and invites its owner',
  description: `This makes the first company where registration is closed. Without a configured mail server the link of the invitation
is printed, once.`,
  requiredOptions: { '--owner <email>': 'the address that is invited as owner' },
  options: { '--name <name>': 'the name of the tenant (New tenant)' },
  async run(invocation) {
    const { values, dryRun, open } = invocation;
    const email = textOf('--owner', values.owner);
    const name = values.name === undefined ? 'New tenant' : textOf('--name', values.name);
    if (dryRun)
      return { lines: [`would create ${printable(name)}, owned by ${printable(email)}`], data: { email, name } };
    const app = await open();
    const tenantId = await app.get(OperatorTenants, { strict: false }).create(name);
    const invited = await app.get(OperatorInvitations, { strict: false }).invite(tenantId, email, 'owner');
    return invitedReport(invocation, tenantId, email, 'owner', invited);
  },
};

export const linkCommand: Command = {
  summary: 'Invites an address to a tenant, in place of any invitation that it has',
  description: 'Without a configured mail server the link is printed, once.',
  arguments: '<tenant> <email> <role>',
  async run(invocation) {
    const [id, email = '', role = ''] = invocation.positionals;
    const tenantId = readId('the tenant', id);
    if (invocation.dryRun) {
      return {
        lines: [`would invite ${printable(email)} as ${printable(role)}`],
        data: { tenant_id: tenantId, email, role },
      };
    }
    const invitations = (await invocation.open()).get(OperatorInvitations, { strict: false });
    return invitedReport(invocation, tenantId, email, role, await invitations.invite(tenantId, email, role));
  },
};

export const setOwnerCommand: Command = {
  summary: 'Makes a member an owner, a day after it was announced',
  description: `For a tenant whose owners are gone. The first call announces it to the members who manage the tenant, by mail and in the
audit log. A call after 24 hours does it. A sign-in of an owner meanwhile cancels it. An address that is no member is invited
with invitations link.`,
  arguments: '<id> <email>',
  async run({ positionals: [id, email = ''], dryRun, open }) {
    const tenantId = readId('the tenant', id);
    if (dryRun)
      return { lines: [`would make ${printable(email)} an owner of ${tenantId}`], data: { id: tenantId, email } };
    const { userId, effectiveAt, done } = await (
      await open()
    )
      .get(OperatorOwners, { strict: false })
      .set(tenantId, email);
    const at = effectiveAt.toISOString();
    return {
      lines: [
        done
          ? `${printable(email)} is an owner of ${tenantId}`
          : `announced; run this again after ${at}. A sign-in of an owner cancels it.`,
      ],
      data: { id: tenantId, user_id: userId, email, effective_at: at, done },
    };
  },
};

export const relaxCommand: Command = {
  summary: 'Removes policies of a tenant that shut its own people out',
  description: 'Every credential follows within 2 seconds.',
  arguments: '<id>',
  options: {
    '--cidrs': 'its members may come from any network',
    '--second-factor': 'its members need no second factor',
  },
  async run({ values, positionals, dryRun, open }) {
    const tenantId = readId('the tenant', positionals[0]);
    const rules = { cidrs: values.cidrs === true, secondFactor: values.secondFactor === true };
    if (!rules.cidrs && !rules.secondFactor) throw new UsageError('use --cidrs or --second-factor, or both');
    if (dryRun) return { lines: [`would relax ${tenantId}`], data: { id: tenantId, relaxed: [] } };
    const relaxed = await (await open()).get(CompanyService, { strict: false }).relax(tenantId, rules);
    const line = relaxed.length > 0 ? `relaxed ${tenantId}: ${relaxed.join(', ')}` : `${tenantId} had nothing to relax`;
    return { lines: [line], data: { id: tenantId, relaxed } };
  },
};

export const deleteCommand: Command = {
  summary: 'Closes a tenant immediately',
  description: 'An owner may restore it for 30 days; then it is erased.',
  arguments: '<id>',
  async run({ positionals, dryRun, open }) {
    const tenantId = readId('the tenant', positionals[0]);
    if (dryRun) return { lines: [`would close ${tenantId}`], data: { id: tenantId, changed: false } };
    const changed = await (await open()).get(CompanyService, { strict: false }).closeByOperator(tenantId);
    return {
      lines: [changed ? `closed ${tenantId}` : `${tenantId} is closed already`],
      data: { id: tenantId, changed },
    };
  },
};

function invitedReport(
  { config }: Invocation,
  tenantId: string,
  email: string,
  role: string,
  { tenantName, expiresAt, token }: OperatorInvitation,
): Report {
  const link = token === null ? null : linkTo(config)('/accept-invitation', token);
  return {
    lines: [
      `invited ${printable(email)} as ${role} to ${tenantId} (${printable(tenantName)}), until ${expiresAt.toISOString()}`,
      ...(link === null ? [] : [link]),
    ],
    data: { tenant_id: tenantId, email, role, expires_at: expiresAt.toISOString(), ...(link === null ? {} : { link }) },
  };
}

function textOf(option: string, value: string | boolean | undefined): string {
  const text = typeof value === 'string' ? value.trim() : '';
  if (text === '' || text.length > 200) throw new UsageError(`${option} needs a text of at most 200 characters`);
  return text;
}
