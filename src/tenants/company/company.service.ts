import { Injectable } from '@nestjs/common';
import type { AuditedCaller } from '../../platform/audit/audit-entry';
import { AuditLog } from '../../platform/audit/audit-log';
import { Config } from '../../platform/config/config';
import { TenantDatabase, type TenantTransaction } from '../../platform/database/tenant-database';
import { Conflict, type FieldFault, Forbidden, ValidationFailed } from '../../platform/errors';
import type { Caller, Person } from '../../platform/http/requests/caller';
import type { Precondition } from '../../platform/http/responses/conditional-requests';
import { Representation } from '../../platform/http/responses/results';
import { AllowedAddresses } from '../../platform/net/allowed-addresses';
import { Mailer } from '../../platform/mail/mailer';
import { Outbox } from '../../platform/outbox/outbox';
import { Epochs } from '../../platform/revocation/epochs';
import { Tenant } from '../tenant.entity';
import type { UpdateTenantDto } from './company.requests';
import { policiesOf, statusOf, viewOf } from './company.views';
import type { Policies } from './policies';

/** A tenant that is closed is erased after this, and an hour in which it cannot be restored: see the migrations. */
const ERASED_AFTER_MS = 30 * 24 * 60 * 60_000;

/** The rules of a tenant's own record: its name, its policies, its end. */
@Injectable()
export class CompanyService {
  constructor(
    private readonly config: Config,
    private readonly database: TenantDatabase,
    private readonly outbox: Outbox,
    private readonly audit: AuditLog,
    private readonly epochs: Epochs,
    private readonly mailer: Mailer,
  ) {}

  /** The caller's tenant; its policies are shown to callers with `tenant:manage`. */
  async find(caller: Caller): Promise<Representation> {
    const tenant = await this.database.transaction(caller, (tx) =>
      tx.repository(Tenant).findOneByOrFail({ id: tx.tenantId }),
    );
    return representationOf(tenant, caller.permissions.has('tenant:manage'));
  }

  /**
   * Changes name and policies; without a difference, the version stays. Policies apply to live sessions within two
   * seconds.
   * @param address the address of the caller, which a change of the networks may not lock out
   * @throws VersionConflict; Forbidden for policies unless the caller is an owner; ValidationFailed
   */
  async update(
    caller: Caller,
    input: UpdateTenantDto,
    address: string,
    ifMatch?: Precondition,
  ): Promise<Representation> {
    if (input.policies !== undefined) assertOwner(caller, 'Policies are for owners to change.');
    const tenant = await this.database.transaction(caller, async (tx) => {
      const before = await lockTenant(tx);
      ifMatch?.assertVersion(before.version);
      const { policies = {} } = input;
      const faults = this.faultsOf(caller, before, policies, address);
      if (faults.length > 0) throw new ValidationFailed(faults);
      const change = changeOf(before, input);
      if (Object.keys(change).length === 0) return before;
      const now = new Date();
      if (change.secondFactor === 'required') change.secondFactorSince = now;
      const after = { ...before, ...change, version: before.version + 1 };
      await tx.repository(Tenant).update({ id: tx.tenantId }, { ...change, version: after.version });
      if (input.policies !== undefined) this.epochs.raiseTenant(tx);
      this.audit.record(tx, caller, {
        action: 'tenant.changed',
        target: { type: 'tenant', id: tx.tenantId },
        changes: auditedChanges(before, after),
      });
      this.publish(tx, after);
      return after;
    });
    return representationOf(tenant, true);
  }

  /** Closes the tenant immediately; it is erased 30 days later. @throws Forbidden unless the caller is an owner */
  async close(caller: Caller): Promise<void> {
    assertOwner(caller, 'Closing the tenant is for owners.');
    await this.database.transaction(caller, async (tx) => {
      const before = await lockTenant(tx);
      if (before.closedAt) return;
      await this.mark(tx, caller, before, new Date());
    });
  }

  /** Closes the tenant in the transaction of a change that leaves it without an owner. */
  async closeIn(tx: TenantTransaction, caller: AuditedCaller): Promise<void> {
    const before = await lockTenant(tx);
    if (!before.closedAt) await this.mark(tx, caller, before, new Date());
  }

  /**
   * Opens a closed tenant again.
   * @throws Forbidden unless the caller is an owner; Conflict if it is not closed, or its erasure has begun
   */
  async restore(person: Person, role: string | undefined): Promise<void> {
    const { tenantId, userId, session } = person;
    if (tenantId === null || role !== 'owner') throw new Forbidden('Restoring the tenant is for owners.');
    await this.database.transaction({ tenantId }, async (tx) => {
      const before = await lockTenant(tx);
      if (!before.closedAt) throw new Conflict('The tenant is not closed.');
      if (new Date().getTime() - before.closedAt.getTime() > ERASED_AFTER_MS)
        throw new Conflict('The tenant is being erased.');
      await this.mark(tx, { tenantId, actor: { type: 'user', id: userId }, session }, before, null);
    });
  }

  /**
   * The operator opens a tenant whose rules lock all members out. @returns the names of the policies that were reset
   */
  relax(tenantId: string, rules: { cidrs: boolean; secondFactor: boolean }): Promise<string[]> {
    return this.database.transaction({ tenantId }, async (tx) => {
      const before = await lockTenant(tx);
      const change: Partial<Tenant> = {
        ...(rules.cidrs && before.allowedCidrs.length > 0 ? { allowedCidrs: [] } : {}),
        ...(rules.secondFactor && before.secondFactor === 'required' ? { secondFactor: 'optional' as const } : {}),
      };
      if (Object.keys(change).length === 0) return [];
      const after = { ...before, ...change, version: before.version + 1 };
      await tx.repository(Tenant).update({ id: tenantId }, { ...change, version: after.version });
      this.epochs.raiseTenant(tx);
      const changes = auditedChanges(before, after);
      this.audit.record(
        tx,
        { tenantId, actor: { type: 'operator', id: null } },
        { action: 'tenant.changed', target: { type: 'tenant', id: tenantId }, changes },
      );
      this.publish(tx, after);
      const what = `The operator took back: ${Object.keys(changes).join(', ')}.`;
      this.mailer.notify(tx, { audience: { permission: 'tenant:manage' }, template: 'tenant_relaxed', data: { what } });
      return Object.keys(changes);
    });
  }

  /** Records in the tenant's log that the operator has suspended or resumed it. */
  async recordSuspension(tenantId: string, suspendedAt: Date | null): Promise<void> {
    await this.database.transaction({ tenantId }, (tx) => {
      const caller = { tenantId, actor: { type: 'operator', id: null } };
      this.audit.record(tx, caller, {
        action: suspendedAt ? 'tenant.suspended' : 'tenant.resumed',
        target: { type: 'tenant', id: tenantId },
      });
      return Promise.resolve();
    });
  }

  /** The operator closes a tenant; an owner may restore it for 30 days. @returns whether it was open */
  closeByOperator(tenantId: string): Promise<boolean> {
    return this.database.transaction({ tenantId }, async (tx) => {
      const before = await lockTenant(tx);
      if (before.closedAt) return false;
      await this.mark(tx, { tenantId, actor: { type: 'operator', id: null } }, before, new Date());
      return true;
    });
  }

  private async mark(
    tx: TenantTransaction,
    caller: AuditedCaller,
    before: Tenant,
    closedAt: Date | null,
  ): Promise<void> {
    const after = { ...before, closedAt, version: before.version + 1 };
    await tx.repository(Tenant).update({ id: tx.tenantId }, { closedAt, version: after.version });
    this.epochs.raiseTenant(tx);
    this.audit.record(tx, caller, {
      action: closedAt ? 'tenant.closed' : 'tenant.restored',
      target: { type: 'tenant', id: tx.tenantId },
      changes: { status: [statusOf(before), statusOf(after)] },
    });
    this.publish(tx, after);
    if (closedAt) {
      const erasedAt = new Date(closedAt.getTime() + ERASED_AFTER_MS).toISOString();
      this.mailer.notify(tx, {
        audience: { permission: 'tenant:manage' },
        template: 'tenant_closed',
        data: { erasedAt },
      });
    }
  }

  /** The faults of a change of policies: above all, that it would lock out its own author. */
  private faultsOf(caller: Caller, before: Tenant, change: Partial<Policies>, address: string): FieldFault[] {
    const faults: FieldFault[] = [];
    const fault = (name: keyof Policies, message: string, code: string) =>
      faults.push({ field: `policies.${name}`, message, code });
    const cidrs = change.allowed_cidrs;
    if (cidrs && cidrs.length > 0 && this.config.TRUST_PROXY === 'true') {
      fault(
        'allowed_cidrs',
        'needs a TRUST_PROXY that names the proxies: callers may write their address',
        'trust_proxy',
      );
    } else if (cidrs && !new AllowedAddresses(cidrs).has(address)) {
      fault('allowed_cidrs', 'would shut out your own address', 'shuts_out');
    }
    const { session } = caller;
    const demands = (change.second_factor ?? before.secondFactor) === 'required';
    const graceDays = change.second_factor_grace_days ?? before.secondFactorGraceDays;
    const changesDemand = change.second_factor !== undefined || change.second_factor_grace_days !== undefined;
    if (demands && changesDemand && graceDays === 0 && session?.acr !== 'aal2' && !session?.connectionId) {
      fault('second_factor', 'would shut you out: add a second factor and sign in with it first', 'shuts_out');
    }
    const maxDays = change.session_max_days;
    if (maxDays && session && new Date().getTime() - session.signedInAt.getTime() > maxDays * 24 * 60 * 60 * 1000) {
      fault('session_max_days', 'would end your own session: sign in again first', 'shuts_out');
    }
    return faults;
  }

  private publish(tx: TenantTransaction, tenant: Tenant): void {
    const data = JSON.stringify(viewOf(tenant, true));
    this.outbox.publish(tx, [{ type: 'tenant.changed', data, aggregateId: tenant.id, sequence: tenant.version }]);
  }
}

async function lockTenant(tx: TenantTransaction): Promise<Tenant> {
  return tx.repository(Tenant).findOneOrFail({ where: { id: tx.tenantId }, lock: { mode: 'for_no_key_update' } });
}

function assertOwner(caller: Caller, message: string): void {
  if (caller.role !== 'owner' || caller.actor.type !== 'user') throw new Forbidden(message);
}

/** The columns that the input makes different. */
function changeOf(before: Tenant, input: UpdateTenantDto): Partial<Tenant> {
  const { policies = {} } = input;
  const wanted: Partial<Tenant> = {
    name: input.name,
    secondFactor: policies.second_factor,
    secondFactorGraceDays: policies.second_factor_grace_days,
    sessionIdleMinutes: policies.session_idle_minutes,
    sessionMaxDays: policies.session_max_days,
    allowedCidrs: policies.allowed_cidrs,
    apiKeyMaxDays: policies.api_key_max_days,
  };
  return Object.fromEntries(
    Object.entries(wanted).filter(
      ([name, value]) => value !== undefined && JSON.stringify(value) !== JSON.stringify(before[name as keyof Tenant]),
    ),
  );
}

function auditedChanges(before: Tenant, after: Tenant): Record<string, [unknown, unknown]> {
  const [from, to] = [flat(before), flat(after)];
  return Object.fromEntries(
    Object.keys(to)
      .filter((name) => JSON.stringify(from[name]) !== JSON.stringify(to[name]))
      .map((name) => [name, [from[name], to[name]]]),
  );
}

function flat(tenant: Tenant): Record<string, unknown> {
  return { name: tenant.name, ...policiesOf(tenant) };
}

function representationOf(tenant: Tenant, withPolicies: boolean): Representation {
  return new Representation(JSON.stringify(viewOf(tenant, withPolicies)), tenant.version);
}
