/** Commands for persons: the list, and help for a person who is locked out. */
import { OperatorAccounts } from '../../auth/account/operator-accounts.service';
import { linkTo } from '../../mail/sending/mail-sender';
import type { ListedUser } from '../../users/users.queries';
import { Users } from '../../users/users';
import { type Command, printable, readId, readInteger } from './command';

export const listCommand: Command = {
  summary: 'Lists accounts, oldest first',
  options: { '--limit <n>': 'at most so many (100)', '--after <id>': 'those that come after this one' },
  async run({ values, open }) {
    const limit = readInteger('--limit', values.limit ?? '100', 1, 10_000);
    const after = values.after === undefined ? undefined : readId('--after', values.after);
    const rows = await (await open()).get(Users, { strict: false }).list(after, limit + 1);
    const page = rows.slice(0, limit);
    const next = rows.length > limit ? page.at(-1)?.id : undefined;
    const lines = page.map((row) => `${row.id}  ${stateOf(row).padEnd(10)}  ${printable(row.email)}`);
    if (next) lines.push(`more: --after ${next}`);
    return { lines, data: { data: page.map(viewOf), next_after: next ?? null } };
  },
};

export const resetLinkCommand: Command = {
  summary: 'Sends a reset of the password to an address',
  description: 'Without a configured mail server the link is printed, once. It is good for 30 minutes.',
  arguments: '<email>',
  async run({ config, positionals: [email = ''], dryRun, open }) {
    if (dryRun) return { lines: [`would send a reset to ${printable(email)}`], data: { email } };
    const { userId, token } = await (await open()).get(OperatorAccounts, { strict: false }).sendReset(email);
    const link = token === null ? null : linkTo(config)('/reset-password', token);
    return {
      lines: link === null ? [`a reset is on its way to ${printable(email)}`] : [link],
      data: { id: userId, email, ...(link === null ? {} : { link }) },
    };
  },
};

export const resetSecondFactorCommand: Command = {
  summary: 'Ends the second factors of a person who lost them, a day after it was announced',
  description: `The first call announces it, by mail and in the audit log of each of the person's tenants. A call after 24 hours does it.
A sign-in with the second factor meanwhile cancels it. Recovery codes end too; the password stays.`,
  arguments: '<email>',
  async run({ positionals: [email = ''], dryRun, open }) {
    if (dryRun) return { lines: [`would reset the second factor of ${printable(email)}`], data: { email } };
    const reset = await (await open()).get(OperatorAccounts, { strict: false }).resetFactors(email);
    const at = reset.effectiveAt.toISOString();
    return {
      lines: [
        reset.done
          ? `${printable(email)} has no second factor any more`
          : `announced; run this again after ${at}. A sign-in with the second factor cancels it.`,
      ],
      data: { id: reset.userId, email, effective_at: at, done: reset.done },
    };
  },
};

function stateOf({ erase_at, email_verified_at }: ListedUser): string {
  return erase_at ? 'deleted' : email_verified_at ? 'verified' : 'unverified';
}

function viewOf(row: ListedUser) {
  return {
    id: row.id,
    email: row.email,
    created_at: row.created_at.toISOString(),
    email_verified_at: row.email_verified_at?.toISOString() ?? null,
    erase_at: row.erase_at?.toISOString() ?? null,
    factor_reset_at: row.factor_reset_at?.toISOString() ?? null,
  };
}
