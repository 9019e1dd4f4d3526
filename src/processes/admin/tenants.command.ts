import type { INestApplicationContext } from '@nestjs/common';
import { type ListedTenant, OperatorTenants } from '../../tenants/operator/operator-tenants.service';
import { type Command, type Invocation, printable, readId, readInteger, type Report } from './command';

const MEMBERS_SHOWN = 20;

export const listCommand: Command = {
  summary: 'Lists tenants, oldest first',
  options: {
    '--limit <n>': 'the greatest number of tenants (100)',
    '--after <id>': 'tenants after this one',
    '--suspended': 'suspended tenants only',
  },
  async run({ values, open }) {
    const limit = readInteger('--limit', values.limit ?? '100', 1, 10_000);
    const after = values.after === undefined ? undefined : readId('--after', values.after);
    const found = await tenantsOf(await open()).list(after, limit + 1, values.suspended === true);
    const page = found.slice(0, limit);
    const next = found.length > limit ? page[page.length - 1]?.id : undefined;
    const lines = page.map((tenant) => `${tenant.id}  ${stateOf(tenant)}  ${printable(tenant.name)}`);
    if (next) lines.push(`more: --after ${next}`);
    return { lines, data: { data: page.map(toView), next_after: next ?? null } };
  },
};

export const showCommand: Command = {
  summary: 'Shows a tenant: its state, its people and the number of its endpoints',
  description: `Owners come first; at most ${MEMBERS_SHOWN} people are shown.`,
  arguments: '<id>',
  async run({ positionals, open }) {
    const tenants = tenantsOf(await open());
    const tenant = await tenants.find(readId('the tenant', positionals[0]));
    const { counts, memberCount, members } = await tenants.details(tenant.id, MEMBERS_SHOWN);
    const endpoints = counts.endpoints ?? 0;
    return {
      lines: [
        `id         ${tenant.id}`,
        `name       ${printable(tenant.name)}`,
        `made       ${tenant.createdAt.toISOString()}`,
        `state      ${stateOf(tenant).trim()}`,
        `endpoints  ${endpoints}`,
        `members    ${memberCount}`,
        ...members.map(({ role, email }) => `           ${role.padEnd(6)}  ${printable(email)}`),
      ],
      data: { ...toView(tenant), endpoints, member_count: memberCount, members },
    };
  },
};

export const suspendCommand: Command = {
  summary: 'Suspends a tenant: its credentials do not count any more',
  description: `Every process follows within 2 seconds, and sign-ins to the tenant are refused. Its data stay, and deliveries that are
due already are sent.`,
  arguments: '<id>',
  run: (invocation) => mark(invocation, new Date()),
};

export const resumeCommand: Command = {
  summary: 'Resumes a suspended tenant',
  description: 'Sessions that have not expired meanwhile are valid again.',
  arguments: '<id>',
  run: (invocation) => mark(invocation, null),
};

async function mark({ positionals, dryRun, open }: Invocation, at: Date | null): Promise<Report> {
  const tenants = tenantsOf(await open());
  const before = await tenants.find(readId('the tenant', positionals[0]));
  const verb = at ? 'suspend' : 'resume';
  if ((before.suspendedAt === null) === (at === null)) {
    return {
      lines: [`${before.id} (${printable(before.name)}) is ${stateOf(before).trim()} already`],
      data: { ...toView(before), changed: false },
    };
  }
  if (dryRun) {
    return {
      lines: [`would ${verb} ${before.id} (${printable(before.name)})`],
      data: { ...toView(before), changed: false },
    };
  }
  const after = await tenants.suspend(before.id, at);
  return {
    lines: [`${verb}${at ? 'ed' : 'd'} ${before.id} (${printable(before.name)})`],
    data: { ...toView(after ?? before), changed: after !== undefined },
  };
}

function tenantsOf(app: INestApplicationContext): OperatorTenants {
  return app.get(OperatorTenants, { strict: false });
}

function stateOf({ suspendedAt: at }: ListedTenant): string {
  return at ? `suspended since ${at.toISOString()}` : 'active'.padEnd('suspended since '.length + 24);
}

function toView({ id, name, createdAt, suspendedAt }: ListedTenant) {
  return { id, name, created_at: createdAt.toISOString(), suspended_at: suspendedAt?.toISOString() ?? null };
}
