import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Config } from '../../config/config';
import { noteCredential } from '../../net/anonymous-connections';
import { assertConnected } from '../../net/client-connection';
import { RateLimited, Unavailable } from '../../errors';
import { NewTenants } from '../../usage/new-tenants';
import type { CallingKey, Principal } from '../requests/caller';
import { callerNetwork } from '../../net/client-network';
import { type Limit, limitHeader, policyHeader, RateLimiter, type Verdict } from './rate-limit';
import { TenantLoads } from './tenant-loads';
import { FREE_BYTES, RequestSlots, type SlotRequest } from './request-slots';

/** How long a request waits for a slot among those of its tenant, milliseconds. */
const SLOT_TIMEOUT_MS = 5_000;
const MIB = 1024 * 1024;

declare module 'fastify' {
  interface FastifyRequest {
    /** It was counted against its limits already, before its body was read. */
    isCounted?: true;
  }
  interface FastifyContextConfig {
    /** Tokens of its tenant's allowance that a request of this route takes; default: 1. */
    tokens?: number;
    /**
     * Orchestrators ask for the route: it has an allowance of its own, for each address and process. Neither other
     * requests nor a low limit of addresses may take a healthy process out of service.
     */
    probed?: true;
    /** The route makes tenants: its requests count against the limit of registrations, too. */
    registers?: true;
  }
}

/**
 * The limits that every request counts against: those of its tenant, or of its address without a credential. They are
 * checked before a body is read, so that a caller over a limit costs nothing but the refusal.
 */
@Injectable()
export class RequestLimits {
  private readonly tenantLimit: StatedLimit;
  private readonly newTenantLimit: StatedLimit;
  private readonly addressLimit: StatedLimit;
  private readonly slots: RequestSlots;
  private readonly registrations?: StatedLimit;

  constructor(
    private readonly config: Config,
    private readonly limiter: RateLimiter,
    private readonly loads: TenantLoads,
    private readonly newTenants: NewTenants,
  ) {
    const { RATE_LIMIT_TENANT_BURST: burst, RATE_LIMIT_TENANT_PER_SECOND: perSecond } = config;
    this.tenantLimit = stated('tenant', burst, perSecond);
    this.newTenantLimit = stated('tenant', newTenants.reduced(burst), newTenants.reduced(perSecond));
    const perMinute = config.RATE_LIMIT_ADDRESS_PER_MINUTE;
    this.addressLimit = stated('address', perMinute, perMinute / 60);
    const perHour = config.RATE_LIMIT_REGISTRATION;
    if (perHour > 0) this.registrations = stated('registration', perHour, perHour / 3_600);
    this.slots = new RequestSlots(config.REQUEST_BODIES_MIB * MIB, SLOT_TIMEOUT_MS);
  }

  /**
   * Counts a request once, and waits for its turn among those of its tenant. Synchronous without Redis if a slot
   * is free.
   * @throws RateLimited; Unavailable if the bodies of other tenants take all memory
   */
  count(request: FastifyRequest, reply: FastifyReply): void | Promise<void> {
    if (request.isCounted) return;
    request.isCounted = true;
    const { principal, routeOptions } = request;
    if (!principal) {
      return routeOptions.config.public === 'limited' ? this.takeAddress(request, reply) : undefined;
    }
    noteCredential(request.raw.socket);
    const id = principal.kind === 'tenant' ? principal.caller.tenantId : principal.person.userId;
    this.loads.begin(id, request);
    const taken = this.takeTenantAndKey(id, principal, reply, routeOptions.config.tokens);
    return taken ? taken.then(() => this.enter(id, request, reply)) : this.enter(id, request, reply);
  }

  /** Takes the cost of a tenant's request beyond its one token. */
  charge(tenantId: string, tokens: number): void {
    if (this.config.RATE_LIMIT_ENABLED && tokens > 0) this.limiter.charge(this.limitOf(tenantId), tenantId, tokens);
  }

  private enter(tenantId: string, request: FastifyRequest, reply: FastifyReply): void | Promise<void> {
    const bodyBytes = bodyBytesOf(request);
    const { raw } = request;
    // A client that has left is refused next; nothing would release its slot.
    if (bodyBytes <= FREE_BYTES || raw.socket.destroyed) return;
    const slot: SlotRequest = {
      tenantId,
      bodyBytes,
      isArriving: () => !raw.complete,
      drop: () => raw.socket.destroy(),
    };
    reply.raw.once('close', () => this.slots.release(slot));
    return this.slots.acquire(slot)?.then((refusal) => {
      if (refusal === 'process') throw new Unavailable('no capacity for the bodies of requests');
      if (refusal) throw new RateLimited('Too many requests at once; wait for the responses to some.', 1);
    });
  }

  /** Counts a request of a tenant, or of a person without one, by its id. @throws RateLimited */
  private takeTenant(id: string, reply: FastifyReply, tokens?: number): void | Promise<void> {
    if (!this.config.RATE_LIMIT_ENABLED) return;
    const limit = this.limitOf(id);
    const taken = this.limiter.take(limit, id, tokens);
    if (taken instanceof Promise) return taken.then((verdict) => enforce(limit, verdict, reply));
    enforce(limit, taken, reply);
  }

  private limitOf(id: string): StatedLimit {
    return this.newTenants.has(id) ? this.newTenantLimit : this.tenantLimit;
  }

  private takeTenantAndKey(
    id: string,
    principal: Principal,
    reply: FastifyReply,
    tokens?: number,
  ): void | Promise<void> {
    const taken = this.takeTenant(id, reply, tokens);
    const key = principal.kind === 'tenant' ? principal.caller.apiKey : undefined;
    if (!key || key.rateLimit === null) return taken;
    return taken ? taken.then(() => this.takeKey(key, reply)) : this.takeKey(key, reply);
  }

  /** Counts a request of an API key that has a limit of its own, within that of its tenant. @throws RateLimited */
  private takeKey({ id, rateLimit }: CallingKey, reply: FastifyReply): void | Promise<void> {
    if (!this.config.RATE_LIMIT_ENABLED || rateLimit === null) return;
    const limit = stated('key', rateLimit, rateLimit);
    const taken = this.limiter.take(limit, id);
    if (taken instanceof Promise) return taken.then((verdict) => enforce(limit, verdict, reply));
    enforce(limit, taken, reply);
  }

  /** Counts a request without a credential that counts. @throws RateLimited */
  async takeAddress(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    if (!this.config.RATE_LIMIT_ENABLED) return;
    const network = callerNetwork(request);
    if (request.routeOptions.config?.probed) {
      enforce(PROBE_LIMIT, this.limiter.takeLocally(PROBE_LIMIT, network), reply);
      return;
    }
    enforce(this.addressLimit, await this.limiter.take(this.addressLimit, network), reply);
    if (request.routeOptions.config?.registers && this.registrations) await this.takeRegistration(request, reply);
  }

  private async takeRegistration(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const limit = this.registrations as StatedLimit;
    enforce(limit, await this.limiter.take(limit, callerNetwork(request)), reply);
  }
}

/** Counts every request against the limit of its tenant or of its address. */
@Injectable()
export class RequestLimitsGuard implements CanActivate {
  constructor(private readonly limits: RequestLimits) {}

  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    const http = context.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    const counted = this.limits.count(request, http.getResponse<FastifyReply>());
    return counted ? counted.then(() => isConnected(request)) : isConnected(request);
  }
}

/** The work from here on costs more than a refusal. @throws Unavailable if the client has left */
function isConnected({ raw }: FastifyRequest): true {
  assertConnected(raw.socket);
  return true;
}

/** Bytes of a body that must be read: a body that is too large is refused unread. */
function bodyBytesOf({ headers, routeOptions }: FastifyRequest): number {
  const { bodyLimit } = routeOptions;
  if (headers['transfer-encoding'] !== undefined) return bodyLimit;
  const length = Number(headers['content-length'] ?? 0);
  return length > bodyLimit ? 0 : length;
}

/** A limit with its `RateLimit-Policy`, which is the same on every response. */
interface StatedLimit extends Limit {
  policy: string;
}

/** The check behind it runs once a second at most; the limit bounds what asking costs. */
const PROBE_LIMIT = stated('probe', 600, 10);

function stated(name: string, burst: number, perSecond: number): StatedLimit {
  const limit = { name, burst, perSecond };
  return { ...limit, policy: policyHeader(limit) };
}

function enforce(limit: StatedLimit, verdict: Verdict, reply: FastifyReply): void {
  reply.header('ratelimit', limitHeader(limit, verdict)).header('ratelimit-policy', limit.policy);
  if (!verdict.allowed) throw new RateLimited('Too many requests; slow down.', verdict.retryAfterSeconds);
}
