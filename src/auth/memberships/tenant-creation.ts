import { Inject, Injectable } from '@nestjs/common';
import { AuditLog } from '../../platform/audit/audit-log';
import { SecretBoxError } from '../../platform/crypto/secret-box';
import { SECRET_BOX, type SecretBox } from '../../platform/crypto/secret-box.module';
import { SignInDatabase } from '../../platform/database/roles/sign-in-database';
import type { Transaction } from '../../platform/database/transaction';
import { AppError, NotFound, RateLimited, Unauthorized } from '../../platform/errors';
import type { Person } from '../../platform/http/requests/caller';
import type { IdempotentRequest } from '../../platform/http/responses/idempotency';
import { Outcome, StoredResponse, type WriteResult } from '../../platform/http/responses/results';
import { newMembership } from '../../tenants/membership.entity';
import { beginMembership } from '../../tenants/memberships';
import { newTenantId } from '../../tenants/new-tenant-id';
import { newTenant, Tenant } from '../../tenants/tenant.entity';
import { Users } from '../../users/users';
import type { Client } from '../proofs/proof';
import { Registration } from '../registration/registration.service';
import { proofOf, Sessions } from '../sessions/sessions';
import { SignIn } from '../sign-in/sign-in';
import { type CreationRow, findCreation, insertCreation, lockCreationKey, storeCreationBody } from './creation-keys';
import { countNewTenant } from './memberships.queries';

const NEW_TENANTS_A_DAY = 5;
const DAY_SECONDS = 86_400;
/** A key whose response is not stored after this belongs to an interrupted request: its retry continues it. */
const CUT_OFF_AFTER_MS = 30_000;

/**
 * Makes tenants that a person owns. With an `Idempotency-Key` at most one: the key commits with the tenant, under the
 * person, and its response is stored once the session in the new tenant has begun.
 */
@Injectable()
export class TenantCreation {
  constructor(
    private readonly database: SignInDatabase,
    private readonly users: Users,
    private readonly signIn: SignIn,
    private readonly registration: Registration,
    private readonly sessions: Sessions,
    private readonly audit: AuditLog,
    @Inject(SECRET_BOX) private readonly box: SecretBox,
  ) {}

  /**
   * Makes the tenant and signs in to it.
   * @throws AppError `registration_closed`, `idempotency_in_progress`, `idempotency_key_reused`; RateLimited beyond
   * five a day
   */
  async create(person: Person, name: string, client: Client, request?: IdempotentRequest): Promise<WriteResult> {
    if (this.registration.mode === 'closed') throw new AppError('registration_closed', 'Registration is closed.');
    const { userId } = person;
    const tenant = newTenant(newTenantId(), name, new Date());
    const earlier = await this.database.transaction({ userId, tenantId: tenant.id }, async (tx) => {
      // A deletion of the account that is under way has to see the new tenant, or this the deletion.
      const stays = await this.users.lockStaying(tx, userId);
      if (!stays || !(await this.sessions.isLive(tx, person.session))) throw new Unauthorized();
      const found = request && (await this.claim(tx, userId, request));
      if (!found) await this.make(tx, person, tenant, request);
      return found;
    });
    const stored = earlier && request && this.opened(userId, request.key, earlier);
    if (stored !== undefined) return new StoredResponse(201, {}, stored);
    const json = await this.enter(person, earlier?.made_id ?? tenant.id, client);
    if (request) await this.store(userId, request.key, earlier?.made_id ?? tenant.id, json);
    return new Outcome(json);
  }

  private async make(tx: Transaction, person: Person, tenant: Tenant, request?: IdempotentRequest): Promise<void> {
    const { userId, session } = person;
    const now = tenant.createdAt;
    const [counted] = await tx.query(countNewTenant(userId, NEW_TENANTS_A_DAY, now));
    if (!counted) throw new RateLimited('Five new tenants a day are the most.', DAY_SECONDS);
    await tx.repository(Tenant).insert(tenant);
    await beginMembership(tx, newMembership(tenant.id, userId, 'owner', now));
    if (request) tx.defer(insertCreation(userId, request.key, request.hash, tenant.id, now));
    const caller = { tenantId: tenant.id, actor: { type: 'user', id: userId }, session: { id: session.id } };
    this.audit.record(tx, caller, { action: 'tenant.created', target: { type: 'tenant', id: tenant.id } });
  }

  /** The result of an earlier request with the key, if there was one. */
  private async claim(tx: Transaction, userId: string, { key, hash }: IdempotentRequest) {
    const [lock] = await tx.query<{ locked: boolean }>(lockCreationKey(userId, key));
    const now = new Date();
    const [found] = lock?.locked ? await tx.query<CreationRow>(findCreation(userId, key, now)) : [];
    const isFresh = found?.body === null && now.getTime() - found.created_at.getTime() < CUT_OFF_AFTER_MS;
    if (found && !found.request_hash.equals(hash)) {
      throw new AppError(
        'idempotency_key_reused',
        'This Idempotency-Key was used for another request; use a new key for a new request.',
      );
    }
    if (!lock?.locked || isFresh) {
      throw new AppError('idempotency_in_progress', 'The first request with this Idempotency-Key is still running.', {
        headers: { 'Retry-After': '1' },
      });
    }
    return found;
  }

  /** The stored response; undefined without one, or without its encryption key: then it is created again. */
  private opened(userId: string, key: string, { body }: CreationRow): string | undefined {
    if (body === null) return undefined;
    try {
      return this.box.decrypt(body, contextOf(userId, key));
    } catch (error) {
      if (error instanceof SecretBoxError) return undefined;
      throw error;
    }
  }

  private async enter({ userId, session }: Person, tenantId: string, client: Client): Promise<string> {
    const membership = await this.signIn.membership(userId, tenantId);
    if (!membership) throw new NotFound('Tenant', tenantId);
    const [user, tenant] = await Promise.all([this.users.get(userId), this.signIn.tenant(tenantId)]);
    const view = await this.signIn.intoTenant({ user, proof: proofOf(session), client }, tenant, membership.role);
    return JSON.stringify(view);
  }

  private store(userId: string, key: string, madeId: string, json: string): Promise<void> {
    return this.database.transaction({ userId }, (tx) => {
      tx.defer(storeCreationBody(userId, key, madeId, this.box.encrypt(json, contextOf(userId, key))));
      return Promise.resolve();
    });
  }
}

/** The context of a stored response's encryption. */
function contextOf(userId: string, key: string): string {
  return JSON.stringify(['account', userId, key]);
}
