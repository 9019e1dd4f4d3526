import { Injectable } from '@nestjs/common';
import { AuditLog } from '../../platform/audit/audit-log';
import { TenantDatabase, type TenantTransaction } from '../../platform/database/tenant-database';
import { AppError, Conflict, NotFound } from '../../platform/errors';
import type { Caller } from '../../platform/http/requests/caller';
import type { PageDto } from '../../platform/http/requests/page.dto';
import { Idempotency, type IdempotentRequest } from '../../platform/http/responses/idempotency';
import type { Precondition } from '../../platform/http/responses/conditional-requests';
import { type JsonPage, Outcome, Representation, type WriteResult } from '../../platform/http/responses/results';
import { Cursors } from '../../platform/http/responses/pagination';
import { newTimedId } from '../../platform/ids/ids';
import { Epochs } from '../../platform/revocation/epochs';
import { assertMayGrant, assertNotAbove } from '../../platform/http/requests/grants';
import { lockMembers } from '../tenant-lock';
import { builtInRoles, customRole, findRole, type Role } from './role-catalogue';
import { CustomRole } from './role.entity';
import type { CreateRoleDto, UpdateRoleDto } from './roles.requests';
import { viewOf } from './roles.views';
import { countMembersByRole, findUseOfRole, listCustomRoles, type RoleCount, type RoleRow } from './roles.queries';

/** Custom roles of one tenant at most. */
const MAX_CUSTOM_ROLES = 50;

/** The rules of roles. */
@Injectable()
export class RolesService {
  constructor(
    private readonly database: TenantDatabase,
    private readonly idempotency: Idempotency,
    private readonly cursors: Cursors,
    private readonly audit: AuditLog,
    private readonly epochs: Epochs,
  ) {}

  /**
   * Makes a custom role.
   * @throws Forbidden for a permission that the caller lacks; Conflict for a name in use; AppError
   * `business_rule_violation` for one too many
   */
  create(caller: Caller, input: CreateRoleDto, request?: IdempotentRequest): Promise<WriteResult> {
    return this.idempotency.transaction(caller, request, async (tx) => {
      assertMayGrant(caller, input.permissions);
      await lockMembers(tx);
      const rows = await tx.query<RoleRow>(listCustomRoles(tx.tenantId));
      if (rows.some((row) => row.name === input.name)) throw new Conflict(`The role ${input.name} exists already.`);
      if (rows.length >= MAX_CUSTOM_ROLES) {
        throw new AppError('business_rule_violation', `A tenant has at most ${MAX_CUSTOM_ROLES} custom roles.`);
      }
      const { id, at } = newTimedId();
      const { name, permissions } = input;
      const row: RoleRow = {
        tenantId: tx.tenantId,
        name,
        id,
        description: input.description ?? null,
        permissions,
        version: 1,
        createdAt: at,
        updatedAt: at,
      };
      await tx.repository(CustomRole).insert(row);
      this.audit.record(tx, caller, {
        action: 'role.created',
        target: { type: 'role', id: name },
        changes: { permissions: [null, permissions] },
      });
      return new Outcome(JSON.stringify(viewOf(customRole(row), 0)), { id: name, version: 1 });
    });
  }

  /** A page of roles: custom ones newest first, then those built in. @throws AppError `invalid_cursor` */
  list(caller: Caller, page: PageDto): Promise<JsonPage> {
    const scope = { tenant: caller, list: 'roles', filters: {} };
    return this.cursors.page(scope, page, async (afterId, count) => {
      const [rows, counts] = await Promise.all([
        this.database.query<RoleRow>(caller, listCustomRoles(caller.tenantId)),
        this.counts(caller),
      ]);
      return [...rows.map(customRole), ...builtInRoles()]
        .filter(({ id }) => !afterId || id < afterId)
        .slice(0, count)
        .map((role) => ({ id: role.id, json: JSON.stringify(viewOf(role, counts.get(role.name))) }));
    });
  }

  /** @throws NotFound */
  async find(caller: Caller, name: string): Promise<Representation> {
    const [role, counts] = await Promise.all([
      this.database.transaction(caller, (tx) => findRole(tx, name)),
      this.counts(caller),
    ]);
    if (!role) throw new NotFound('Role', name);
    return representationOf(role, counts);
  }

  /**
   * Changes a custom role; where nothing changes, the version stays. Its members' credentials follow within two
   * seconds.
   * @throws NotFound; VersionConflict; Forbidden; AppError `business_rule_violation` for a built-in role
   */
  async update(caller: Caller, name: string, input: UpdateRoleDto, ifMatch?: Precondition): Promise<Representation> {
    const role = await this.database.transaction(caller, async (tx) => {
      const before = await lockCustomRole(tx, caller, name, ifMatch);
      assertMayGrant(caller, input.permissions ?? []);
      const description = input.description === undefined ? before.description : input.description;
      const permissions = input.permissions ?? [...before.permissions];
      const samePermissions =
        permissions.length === before.permissions.size && permissions.every((one) => before.permissions.has(one));
      if (samePermissions && description === before.description) return before;
      const version = before.version + 1;
      const updatedAt = new Date();
      await tx
        .repository(CustomRole)
        .update({ tenantId: tx.tenantId, name }, { description, permissions, version, updatedAt });
      this.epochs.raiseTenant(tx);
      this.audit.record(tx, caller, {
        action: 'role.changed',
        target: { type: 'role', id: name },
        changes: {
          ...(samePermissions ? {} : { permissions: [[...before.permissions], permissions] }),
          ...(description === before.description ? {} : { description: [before.description, description] }),
        },
      });
      return { ...before, description, permissions: new Set(permissions), version };
    });
    return representationOf(role, await this.counts(caller));
  }

  /** Deletes a custom role without members and invitations. @throws NotFound; VersionConflict; Forbidden; Conflict */
  async remove(caller: Caller, name: string, ifMatch?: Precondition): Promise<void> {
    await this.database.transaction(caller, async (tx) => {
      const role = await lockCustomRole(tx, caller, name, ifMatch);
      const [use] = await tx.query<{ kind: string }>(findUseOfRole(tx.tenantId, name, new Date()));
      if (use) throw new Conflict(`The role is in use by a pending or current ${use.kind}.`);
      await tx.repository(CustomRole).delete({ tenantId: tx.tenantId, name });
      this.audit.record(tx, caller, {
        action: 'role.deleted',
        target: { type: 'role', id: name },
        changes: { permissions: [[...role.permissions], null] },
      });
    });
  }

  private async counts(caller: Caller): Promise<ReadonlyMap<string, number>> {
    const rows = await this.database.query<RoleCount>(caller, countMembersByRole(caller.tenantId));
    return new Map(rows.map(({ role, count }) => [role, count]));
  }
}

/** The custom role, under the tenant's lock, if the caller may change it. */
async function lockCustomRole(
  tx: TenantTransaction,
  caller: Caller,
  name: string,
  ifMatch?: Precondition,
): Promise<Role> {
  await lockMembers(tx);
  const role = await findRole(tx, name);
  if (!role) throw new NotFound('Role', name);
  ifMatch?.assertVersion(role.version);
  if (role.builtIn) throw new AppError('business_rule_violation', 'Built-in roles cannot be changed.');
  assertNotAbove(caller, role.permissions);
  return role;
}

function representationOf(role: Role, counts: ReadonlyMap<string, number>): Representation {
  return new Representation(JSON.stringify(viewOf(role, counts.get(role.name))), role.version);
}
