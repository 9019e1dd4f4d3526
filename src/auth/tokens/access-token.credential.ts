import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import passport from 'passport';
import { Refusals } from '../../platform/audit/refusals';
import { Forbidden, Unauthorized } from '../../platform/errors';
import type { Caller, Principal } from '../../platform/http/requests/caller';
import { callerAddress, originOf } from '../../platform/net/client-network';
import { ACCESS_TOKEN_STRATEGY } from './access-token.strategy';
import type { AccessClaims } from './access-tokens';
import { Authenticator, type CredentialKind } from '../access/authenticator';
import { isAllowed } from '../sessions/tenant-rules';
import { type SessionState, SessionStates } from '../sessions/session-states';

const MAX_VERIFIED = 10_000;
const NO_PERMISSIONS: Caller['permissions'] = new Set();
const JWT = /^[\w-]+\.[\w-]+\.[\w-]*$/;

/**
 * The access token as a credential. Its signature is checked once, by the Passport strategy, and cached by its text
 * until it expires; its session is checked every time.
 */
@Injectable()
export class AccessTokenCredential implements CredentialKind, OnModuleInit {
  private readonly verified = new Map<string, AccessClaims>();

  constructor(
    private readonly authenticator: Authenticator,
    private readonly sessions: SessionStates,
    private readonly refusals: Refusals,
  ) {}

  onModuleInit(): void {
    this.authenticator.register(this);
  }

  matches(token: string): boolean {
    return JWT.test(token);
  }

  authenticate(token: string, request: FastifyRequest): Principal | Promise<Principal> {
    const claims = this.verified.get(token);
    if (!claims) return this.verify(token, request).then((verified) => this.admit(verified, request));
    if (claims.exp * 1000 > new Date().getTime()) return this.admit(claims, request);
    this.verified.delete(token);
    throw new Unauthorized('The access token has expired.', { invalidToken: true });
  }

  private admit(claims: AccessClaims, request: FastifyRequest): Principal | Promise<Principal> {
    const known = this.sessions.get(claims.tenant_id ?? claims.sub, claims.sid);
    return known instanceof Promise
      ? known.then((state) => this.principal(claims, state, request))
      : this.principal(claims, known, request);
  }

  private principal(claims: AccessClaims, state: SessionState | undefined, request: FastifyRequest): Principal {
    if (state && claims.tenant_id !== null && !takesNetwork(state, request)) {
      const { sub: userId, sid, tenant_id: tenantId } = claims;
      this.refusals.count({
        caller: { tenantId, actor: { type: 'user', id: userId }, network: originOf(request).network },
        entry: { action: 'session.refused', target: { type: 'session', id: sid }, outcome: 'denied' },
      });
    }
    return principalOf(claims, state, request, this.permissionsNow);
  }

  /** One function for all callers: a request costs no closure. */
  private readonly permissionsNow = async ({ tenantId, session }: Caller): Promise<Caller['permissions']> => {
    const state = session && (await this.sessions.get(tenantId, session.id));
    return state?.kind === 'tenant' && state.expiresAt > new Date() ? state.permissions : NO_PERMISSIONS;
  };

  private async verify(token: string, request: FastifyRequest): Promise<AccessClaims> {
    const claims = await new Promise<AccessClaims>((resolve, reject) => {
      const done = (error: unknown, holder?: AccessClaims | false, info?: unknown): void => {
        if (error || !holder) reject(invalidToken(error ?? info));
        else resolve(holder);
      };
      const run = passport.authenticate(ACCESS_TOKEN_STRATEGY, { session: false }, done) as (
        request: unknown,
        response: unknown,
        next: (error?: unknown) => void,
      ) => void;
      run(request, undefined, done);
    });
    if (this.verified.size >= MAX_VERIFIED) this.verified.delete(this.verified.keys().next().value as string);
    this.verified.set(token, claims);
    return claims;
  }
}

function principalOf(
  claims: AccessClaims,
  state: SessionState | undefined,
  request: FastifyRequest,
  permissionsNow: Caller['permissionsNow'],
): Principal {
  if (!state || state.session.userId !== claims.sub || state.expiresAt.getTime() <= new Date().getTime()) {
    throw new Unauthorized('The session has ended.', { invalidToken: true });
  }
  const { kind, session, role, permissions } = state;
  if (!takesNetwork(state, request)) {
    throw new Forbidden('The tenant does not take requests from this network.');
  }
  const tenantId = claims.tenant_id;
  const origin = originOf(request);
  if (kind === 'tenant' && tenantId !== null) {
    const actor = { type: 'user', id: claims.sub } as const;
    const { socket: connection } = request.raw;
    return { kind, caller: { tenantId, connection, actor, role, permissions, session, origin, permissionsNow } };
  }
  if (kind === 'tenant') throw invalidToken('a session of a tenant without its tenant');
  return { kind, person: { userId: claims.sub, tenantId, session, origin }, role };
}

function takesNetwork({ allowedCidrs }: SessionState, request: FastifyRequest): boolean {
  return allowedCidrs.length === 0 || isAllowed(allowedCidrs, callerAddress(request));
}

function invalidToken(reason: unknown): Unauthorized {
  return new Unauthorized('The access token is not valid.', { invalidToken: true, internal: String(reason) });
}
