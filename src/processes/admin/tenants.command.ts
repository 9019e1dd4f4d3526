import type { INestApplicationContext } from '@nestjs/common';
import { findEmails } from '../../users/users.queries';
import { OperatorDatabase } from '../../platform/database/roles/operator-database';
import { SignInDatabase } from '../../platform/database/roles/sign-in-database';
import { TenantDatabase } from '../../platform/database/tenant-database';
import { NotFound } from '../../platform/errors';
import { raiseEpoch, WHOLE_TENANT } from '../../platform/revocation/epochs.queries';
import {
  countMembers,
  findTenant,
  listMembers,
  listTenants,
  markSuspended,
  type TenantRow,
} from '../../tenants/tenants.queries';
import { countEndpoints } from '../../webhooks/endpoints/endpoints.queries';
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
    const operator = (await open()).get(OperatorDatabase);
    const rows = await operator.query<TenantRow>(listTenants(after, limit + 1, values.suspended === true));
    const page = rows.slice(0, limit);
    const next = rows.length > limit ? page[page.length - 1]?.id : undefined;
    const lines = page.map((row) => `${row.id}  ${stateOf(row)}  ${printable(row.name)}`);
    if (next) lines.push(`more: --after ${next}`);
    return { lines, data: { data: page.map(toView), next_after: next ?? null } };
  },
};

export const showCommand: Command = {
  summary: 'Shows a tenant: its state, its people and the number of its endpoints',
  description: `Owners come first; at most ${MEMBERS_SHOWN} people are shown.`,
  arguments: '<id>',
  async run({ positionals, open }) {
    const app = await open();
    const tenant = await find(app, positionals);
    const scope = { tenantId: tenant.id };
    const database = app.get(TenantDatabase);
    const [members, [memberCount], [endpointCount]] = await Promise.all([
      database.query<{ user_id: string; role: string }>(scope, listMembers(tenant.id, MEMBERS_SHOWN)),
      database.query<{ count: number }>(scope, countMembers(tenant.id)),
      database.query<{ count: number }>(scope, countEndpoints(tenant.id)),
    ]);
    const emails = await app
      .get(SignInDatabase)
      .transaction({}, (tx) =>
        tx.query<{ id: string; email: string }>(findEmails(members.map((member) => member.user_id))),
      );
    const people = members.map(({ user_id: id, role }) => ({
      id,
      role,
      email: emails.find((user) => user.id === id)?.email ?? null,
    }));
    const [count, endpoints] = [memberCount?.count ?? 0, endpointCount?.count ?? 0];
    return {
      lines: [
        `id         ${tenant.id}`,
        `name       ${printable(tenant.name)}`,
        `made       ${tenant.created_at.toISOString()}`,
        `state      ${stateOf(tenant).trim()}`,
        `endpoints  ${endpoints}`,
        `members    ${count}`,
        ...people.map(({ role, email, id }) => `           ${role.padEnd(6)}  ${printable(email ?? id)}`),
      ],
      data: { ...toView(tenant), endpoints, member_count: count, members: people },
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
  const app = await open();
  const before = await find(app, positionals);
  const verb = at ? 'suspend' : 'resume';
  if ((before.suspended_at === null) === (at === null)) {
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
  const operator = app.get(OperatorDatabase);
  const [after] = await operator.query<TenantRow>(markSuspended(before.id, at));
  await operator.query(raiseEpoch(before.id, WHOLE_TENANT));
  return {
    lines: [`${verb}${at ? 'ed' : 'd'} ${before.id} (${printable(before.name)})`],
    data: { ...toView(after ?? before), changed: after !== undefined },
  };
}

async function find(app: INestApplicationContext, [id]: readonly string[]): Promise<TenantRow> {
  const tenantId = readId('the tenant', id);
  const [tenant] = await app.get(OperatorDatabase).query<TenantRow>(findTenant(tenantId));
  if (!tenant) throw new NotFound('Tenant', tenantId);
  return tenant;
}

function stateOf({ suspended_at: at }: TenantRow): string {
  return at ? `suspended since ${at.toISOString()}` : 'active'.padEnd('suspended since '.length + 24);
}

function toView({ id, name, created_at, suspended_at }: TenantRow) {
  return { id, name, created_at: created_at.toISOString(), suspended_at: suspended_at?.toISOString() ?? null };
}
