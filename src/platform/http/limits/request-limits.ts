import { type CanActivate, type ExecutionContext, Inject, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Config } from '../../config/config';
import { CONFIG } from '../../config/config.module';
import { RateLimited } from '../../errors';
import { type CallingKey, ROUTE_METADATA } from '../requests/caller';
import { callerNetwork } from '../../net/client-network';
import { type Limit, limitHeader, policyHeader, RateLimiter, type Verdict } from './rate-limit';

/** The limits that every request counts against: those of its tenant, or of its address where it has no credential. */
@Injectable()
export class RequestLimits {
  private readonly tenantLimit: Limit;
  private readonly addressLimit: Limit;
  private readonly tenantPolicy: string;
  private readonly addressPolicy: string;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly limiter: RateLimiter,
  ) {
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

  /**
   * Counts a request of a tenant, or of a person without one, by its id. @throws RateLimited; synchronous without Redis
   */
  takeTenant(id: string, reply: FastifyReply): void | Promise<void> {
    if (!this.config.RATE_LIMIT_ENABLED) return;
    const taken = this.limiter.take(this.tenantLimit, id);
    if (taken instanceof Promise) {
      return taken.then((verdict) => enforce(this.tenantLimit, this.tenantPolicy, verdict, reply));
    }
    enforce(this.tenantLimit, this.tenantPolicy, taken, reply);
  }

  /** Counts a request of an API key that has a limit of its own, within that of its tenant. @throws RateLimited */
  takeKey({ id, rateLimit }: CallingKey, reply: FastifyReply): void | Promise<void> {
    if (!this.config.RATE_LIMIT_ENABLED || rateLimit === null) return;
    const limit = { name: 'key', burst: rateLimit, perSecond: rateLimit };
    const taken = this.limiter.take(limit, id);
    if (taken instanceof Promise) return taken.then((verdict) => enforce(limit, policyHeader(limit), verdict, reply));
    enforce(limit, policyHeader(limit), taken, reply);
  }

  /** Counts a request without a credential that counts. @throws RateLimited */
  async takeAddress(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    if (!this.config.RATE_LIMIT_ENABLED) return;
    const verdict = await this.limiter.take(this.addressLimit, callerNetwork(request));
    enforce(this.addressLimit, this.addressPolicy, verdict, reply);
  }
}

/** Counts every request against the limit of its tenant or of its address. */
@Injectable()
export class RequestLimitsGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly limits: RequestLimits,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const http = context.switchToHttp();
    const [request, reply] = [http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>()];
    const { principal } = request;
    if (principal) {
      if (principal.kind !== 'tenant') {
        await this.limits.takeTenant(principal.person.userId, reply);
        return true;
      }
      const { tenantId, apiKey } = principal.caller;
      const taken = this.limits.takeTenant(tenantId, reply);
      if (taken) await taken;
      if (apiKey && apiKey.rateLimit !== null) await this.limits.takeKey(apiKey, reply);
      return true;
    }
    const open = this.reflector.getAllAndOverride<string | undefined>(ROUTE_METADATA.PUBLIC, [
      context.getHandler(),
      context.getClass(),
    ]);
    if (open === 'limited') await this.limits.takeAddress(request, reply);
    return true;
  }
}

function enforce(limit: Limit, policy: string, verdict: Verdict, reply: FastifyReply): void {
  reply.header('ratelimit', limitHeader(limit, verdict)).header('ratelimit-policy', policy);
  if (!verdict.allowed) throw new RateLimited('Too many requests; slow down.', verdict.retryAfterSeconds);
}
