import { type ExecutionContext, Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost, Reflector } from '@nestjs/core';
import { ExecutionContextHost } from '@nestjs/core/helpers/execution-context-host.js';
import { AuthGuard } from '@nestjs/passport';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Config } from '../platform/config/config';
import { CONFIG } from '../platform/config/config.module';
import { Forbidden, RateLimited, Unauthorized } from '../platform/errors';
import { type Caller, ROUTE_METADATA } from '../platform/http/requests/caller';
import { callerNetwork, originOf } from '../platform/http/server/client-network';
import { type Limit, limitHeader, policyHeader, RateLimiter, type Verdict } from '../platform/http/limits/rate-limit';
import { type Permission, permissionsOfRole } from '../platform/permissions/permissions';
import type { AccessClaims } from './tokens/access-tokens';
import { SessionStates } from './sessions/session-states';

const MAX_VERIFIED = 10_000;
/** Requests whose body nobody reads: the guard is early enough for them. */
const WITHOUT_BODY: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

interface Route {
  public?: 'limited' | 'unlimited';
  permission?: Permission | 'signed-in';
}

/**
 * The global guard: denies by default. It makes the caller, and with it the tenant, from the credential alone; then come
 * the limits, then the route's permission. A token's signature is checked once (by passport-jwt) and remembered by
 * its text until it expires; whether its session still counts is looked at every time.
 *
 * Where there is a body, the credential is looked at before it: nobody's 8 MiB are read and parsed for nothing.
 */
@Injectable()
export class TenantGuard extends AuthGuard('jwt') implements OnModuleInit {
  private readonly verified = new Map<string, AccessClaims>();
  private readonly routes = new WeakMap<object, Route>();
  private readonly tenantLimit: Limit;
  private readonly addressLimit: Limit;
  private readonly tenantPolicy: string;
  private readonly addressPolicy: string;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly reflector: Reflector,
    private readonly sessions: SessionStates,
    private readonly limiter: RateLimiter,
    private readonly host: HttpAdapterHost,
  ) {
    super();
    this.tenantLimit = {
      name: 'tenant',
      burst: config.RATE_LIMIT_TENANT_BURST,
      perSecond: config.RATE_LIMIT_TENANT_PER_SECOND,
    };
    this.addressLimit = {
      name: 'address',
      burst: config.RATE_LIMIT_ADDRESS_PER_MINUTE,
      perSecond: config.RATE_LIMIT_ADDRESS_PER_MINUTE / 60,
    };
    this.tenantPolicy = policyHeader(this.tenantLimit);
    this.addressPolicy = policyHeader(this.addressLimit);
  }

  onModuleInit(): void {
    // The operator's commands load the features without a server.
    const adapter = this.host.httpAdapter as HttpAdapterHost['httpAdapter'] | null;
    const server = adapter?.getInstance<FastifyInstance>();
    server?.addHook('onRequest', (request, reply) => this.beforeBody(request, reply));
  }

  override async canActivate(context: ExecutionContext): Promise<boolean> {
    const http = context.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    const reply = http.getResponse<FastifyReply>();
    const route = this.routeOf(context);
    if (route.public) {
      if (route.public === 'limited') await this.limitAddress(request, reply);
      return true;
    }
    const caller = request.caller ?? (await this.admit(request, reply));
    if (this.config.RATE_LIMIT_ENABLED) {
      const taken = this.limiter.take(this.tenantLimit, caller.tenantId);
      this.enforce(this.tenantLimit, this.tenantPolicy, taken instanceof Promise ? await taken : taken, reply);
    }
    if (route.permission === undefined) throw new Forbidden('This route is closed.');
    if (route.permission !== 'signed-in' && !caller.permissions.has(route.permission)) {
      throw new Forbidden(`The role ${caller.role} may not do this: it lacks ${route.permission}.`);
    }
    return true;
  }

  private async beforeBody(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    if (WITHOUT_BODY.has(request.method) || request.routeOptions.config.public) return;
    await this.admit(request, reply);
  }

  /** Makes the caller of a request. @throws Unauthorized; RateLimited where an address tried too often */
  private async admit(request: FastifyRequest, reply: FastifyReply): Promise<Caller> {
    try {
      return (request.caller = await this.identify(request, reply));
    } catch (error) {
      // Those who try tokens are nobody's tenant: they count against their address.
      if (error instanceof Unauthorized) await this.limitAddress(request, reply);
      throw error;
    }
  }

  /** Passport's outcome in our terms. */
  override handleRequest<T>(error: unknown, claims: T | false, info: unknown): T {
    if (error) throw error;
    if (!claims) throw invalidToken(info);
    return claims;
  }

  private async identify(request: FastifyRequest, reply: FastifyReply): Promise<Caller> {
    const claims = await this.claimsOf(request, reply);
    const known = this.sessions.get(claims.tenant_id, claims.sid);
    const state = known instanceof Promise ? await known : known;
    if (!state || state.userId !== claims.sub) {
      throw new Unauthorized('The session has ended.', { invalidToken: true });
    }
    return {
      tenantId: claims.tenant_id,
      actor: { type: 'user', id: claims.sub },
      role: state.role,
      sessionId: claims.sid,
      permissions: permissionsOfRole(state.role, null),
      session: { id: claims.sid },
      origin: originOf(request),
    };
  }

  private async claimsOf(request: FastifyRequest, reply: FastifyReply): Promise<AccessClaims> {
    const token = bearerToken(request);
    const cached = this.verified.get(token);
    if (cached) {
      if (cached.exp * 1000 > new Date().getTime()) return cached;
      this.verified.delete(token);
      throw new Unauthorized('The access token has expired.', { invalidToken: true });
    }
    try {
      await super.canActivate(new ExecutionContextHost([request, reply]));
    } catch (error) {
      // Whatever the verifier stumbled over was in the token: it reads nothing else.
      throw error instanceof Unauthorized ? error : invalidToken(error);
    }
    const claims = (request as FastifyRequest & { user: AccessClaims }).user;
    if (this.verified.size >= MAX_VERIFIED) this.verified.delete(this.verified.keys().next().value as string);
    this.verified.set(token, claims);
    return claims;
  }

  private async limitAddress(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    if (!this.config.RATE_LIMIT_ENABLED) return;
    this.enforce(
      this.addressLimit,
      this.addressPolicy,
      await this.limiter.take(this.addressLimit, callerNetwork(request)),
      reply,
    );
  }

  private enforce(limit: Limit, policy: string, verdict: Verdict, reply: FastifyReply): void {
    reply.header('ratelimit', limitHeader(limit, verdict)).header('ratelimit-policy', policy);
    if (!verdict.allowed) throw new RateLimited('Too many requests; slow down.', verdict.retryAfterSeconds);
  }

  private routeOf(context: ExecutionContext): Route {
    const handler = context.getHandler();
    let route = this.routes.get(handler);
    if (!route) {
      const targets = [handler, context.getClass()];
      route = {
        public: this.reflector.getAllAndOverride(ROUTE_METADATA.PUBLIC, targets),
        permission: this.reflector.getAllAndOverride(ROUTE_METADATA.PERMISSION, targets),
      };
      this.routes.set(handler, route);
    }
    return route;
  }
}

function invalidToken(reason: unknown): Unauthorized {
  return new Unauthorized('The access token is not valid.', { invalidToken: true, internal: String(reason) });
}

/** The one bearer token of a request. Two credentials are none: which one counts is not for us to guess. */
function bearerToken(request: FastifyRequest): string {
  const header = request.headers.authorization;
  if (header === undefined) throw new Unauthorized();
  const { rawHeaders } = request.raw;
  let count = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (name.length === 13 && name.toLowerCase() === 'authorization') count++;
  }
  const match = /^Bearer +([A-Za-z0-9._~+/-]+=*) *$/i.exec(header);
  if (count !== 1 || !match) {
    throw new Unauthorized('Send one Authorization header: Bearer and an access token.', { invalidToken: true });
  }
  return match[1] as string;
}
