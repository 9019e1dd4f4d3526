import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { Authenticator, type CredentialKind } from '../auth/access/authenticator';
import { SecondFactors } from '../auth/second-factor/second-factors';
import { Refusals } from '../platform/audit/refusals';
import { TenantDatabase } from '../platform/database/tenant-database';
import { AppError, Forbidden, Unauthorized } from '../platform/errors';
import type { Caller, Principal } from '../platform/http/requests/caller';
import { callerAddress, originOf } from '../platform/net/client-network';
import { AllowedAddresses } from '../platform/net/allowed-addresses';
import { type Permission, PERMISSIONS, permissionsOfRole } from '../platform/permissions/permissions';
import { EpochCache, type ReadState } from '../platform/revocation/epoch-cache';
import { Epochs } from '../platform/revocation/epochs';
import { WHOLE_TENANT } from '../platform/revocation/epochs.queries';
import { findKeyState, type KeyStateRow } from './api-keys.queries';
import { hashOfKey, looksLikeKey, tenantOfKey } from './key-format';
import { KeyUsage } from './key-usage';

const DAY_MS = 24 * 60 * 60 * 1000;
const NO_PERMISSIONS: Caller['permissions'] = new Set();

/** A key that counts, as a request needs it. */
interface KeyState {
  caller: Omit<Caller, 'origin'>;
  expiresAt: number;
  /** The networks of the key, and those of its tenant. */
  allowed: readonly AllowedAddresses[];
  needsSecondFactor: boolean;
}

/**
 * The API key as a credential. Its state is cached by the hash of its text while the counters of its tenant, its person
 * and itself are unchanged: a cached check costs one SHA-256 and no query.
 */
@Injectable()
export class ApiKeyCredential implements CredentialKind, OnModuleInit {
  private readonly states: EpochCache<KeyState>;

  constructor(
    private readonly authenticator: Authenticator,
    private readonly database: TenantDatabase,
    private readonly factors: SecondFactors,
    private readonly usage: KeyUsage,
    private readonly refusals: Refusals,
    epochs: Epochs,
  ) {
    this.states = new EpochCache(epochs);
  }

  onModuleInit(): void {
    this.authenticator.register(this);
  }

  matches(token: string): boolean {
    return looksLikeKey(token);
  }

  authenticate(token: string, request: FastifyRequest): Principal | Promise<Principal> {
    const hash = hashOfKey(token);
    const known = this.states.get(hash.toString('latin1'), () => this.read(token, hash));
    return known instanceof Promise ? known.then((state) => this.admit(state, request)) : this.admit(known, request);
  }

  private admit(state: KeyState, request: FastifyRequest): Principal {
    if (state.expiresAt <= new Date().getTime()) throw invalidKey('expired');
    const { caller, allowed } = state;
    const address = callerAddress(request);
    if (!allowed.every((addresses) => addresses.has(address))) {
      const { tenantId, actor } = caller;
      this.refusals.count({
        caller: { tenantId, actor, network: originOf(request).network },
        entry: { action: 'api_key.refused', target: { type: 'api_key', id: actor.id }, outcome: 'denied' },
      });
      throw new Forbidden('The API key may not be used from this network.');
    }
    if (state.needsSecondFactor) {
      throw new AppError('second_factor_enrolment_required', 'The tenant demands a second factor of the key’s person.');
    }
    this.usage.note(caller.tenantId, caller.actor.id);
    return { kind: 'tenant', caller: { ...caller, connection: request.raw.socket, origin: originOf(request) } };
  }

  /** @throws Unauthorized for an invalid key: it is not cached, otherwise invented keys would evict real ones */
  private async read(token: string, hash: Buffer): Promise<ReadState<KeyState>> {
    const tenantId = tenantOfKey(token);
    if (tenantId === undefined) throw invalidKey('malformed');
    const [row] = await this.database.query<KeyStateRow>({ tenantId }, findKeyState(tenantId, hash));
    if (!row) throw invalidKey('unknown');
    if (row.suspended_at || row.closed_at) throw invalidKey('its tenant is not open');
    if (row.kind === 'personal' && row.status !== 'active') throw invalidKey('its person is no active member');
    const ends = [row.expires_at, row.secret_expires_at].map((at) => at?.getTime() ?? Infinity);
    const permissionsNow = (): Promise<Caller['permissions']> => this.permissionsOf(token, hash);
    const state: KeyState = {
      caller: { ...callerOf(tenantId, row), permissionsNow },
      expiresAt: Math.min(...ends),
      allowed: [row.allowed_cidrs, row.tenant_cidrs]
        .filter((cidrs) => cidrs.length > 0)
        .map((c) => new AllowedAddresses(c)),
      needsSecondFactor: await this.lacksSecondFactor(row),
    };
    const counters: [string, number][] = [
      [WHOLE_TENANT, row.tenant_epoch],
      [row.id, row.key_epoch],
    ];
    if (row.user_id !== null) counters.push([row.user_id, row.person_epoch]);
    return { state, epochs: counters.map(([userId, epoch]) => ({ tenantId, userId, epoch })) };
  }

  /** The current permissions of the key; none after its end. */
  private async permissionsOf(token: string, hash: Buffer): Promise<Caller['permissions']> {
    try {
      const state = await this.states.get(hash.toString('latin1'), () => this.read(token, hash));
      return state.expiresAt > new Date().getTime() && !state.needsSecondFactor
        ? state.caller.permissions
        : NO_PERMISSIONS;
    } catch (error) {
      if (error instanceof Unauthorized) return NO_PERMISSIONS;
      throw error;
    }
  }

  /** Whether the tenant requires a second factor of a personal key's person, who has none after the grace days. */
  private async lacksSecondFactor(row: KeyStateRow): Promise<boolean> {
    if (row.user_id === null || row.second_factor !== 'required') return false;
    const since = Math.max(row.second_factor_since?.getTime() ?? 0, row.joined_at?.getTime() ?? 0);
    if (new Date().getTime() < since + row.second_factor_grace_days * DAY_MS) return false;
    return (await this.factors.methodsOf(row.user_id)).length === 0;
  }
}

function callerOf(tenantId: string, row: KeyStateRow): KeyState['caller'] {
  const ofRole = row.kind === 'personal' ? permissionsOfRole(row.role ?? '', row.role_permissions) : undefined;
  const allowed = PERMISSIONS.allowedIn('apiKeys') as readonly string[];
  const scopes = row.scopes.filter((scope): scope is Permission => allowed.includes(scope));
  return {
    tenantId,
    actor: { type: 'api_key', id: row.id },
    role: row.role ?? '',
    permissions: new Set(ofRole ? scopes.filter((scope) => ofRole.has(scope)) : scopes),
    apiKey: { id: row.id, name: row.name, kind: row.kind, rateLimit: row.rate_limit },
  };
}

function invalidKey(reason: string): Unauthorized {
  return new Unauthorized('The API key is not valid.', { invalidToken: true, internal: `API key: ${reason}` });
}
