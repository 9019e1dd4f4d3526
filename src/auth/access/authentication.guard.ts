import { type CanActivate, type ExecutionContext, Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost, Reflector } from '@nestjs/core';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Unauthorized } from '../../platform/errors';
import { ROUTE_METADATA } from '../../platform/http/requests/caller';
import { RequestLimits } from '../../platform/http/limits/request-limits';
import { Authenticator } from './authenticator';

/** Requests without a body: the guard is early enough for them. */
const WITHOUT_BODY: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * The first guard: denies by default. It makes the principal, and with it the tenant, from the credential alone. Where
 * the request has a body, the credential is checked and the request counted before the body is read.
 */
@Injectable()
export class AuthenticationGuard implements CanActivate, OnModuleInit {
  constructor(
    private readonly authenticator: Authenticator,
    private readonly limits: RequestLimits,
    private readonly reflector: Reflector,
    private readonly host: HttpAdapterHost,
  ) {}

  onModuleInit(): void {
    // The operator's commands load the features without a server.
    const adapter = this.host.httpAdapter as HttpAdapterHost['httpAdapter'] | null;
    const server = adapter?.getInstance<FastifyInstance>();
    server?.addHook('onRequest', (request, reply) => this.beforeBody(request, reply));
  }

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const targets = [context.getHandler(), context.getClass()];
    if (this.reflector.getAllAndOverride<string | undefined>(ROUTE_METADATA.PUBLIC, targets)) return true;
    const http = context.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    if (!request.principal) await this.admit(request, http.getResponse<FastifyReply>());
    return true;
  }

  private async beforeBody(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    if (WITHOUT_BODY.has(request.method)) return;
    if (!request.routeOptions.config.public) await this.admit(request, reply);
    const counted = this.limits.count(request, reply);
    if (counted) await counted;
  }

  /** Makes the principal of a request. @throws Unauthorized; RateLimited where an address tried too often */
  private async admit(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    try {
      const principal = this.authenticator.authenticate(request);
      request.principal = principal instanceof Promise ? await principal : principal;
      if (request.principal.kind === 'tenant') request.caller = request.principal.caller;
    } catch (error) {
      // A token that does not count belongs to no tenant: it counts against its address.
      if (error instanceof Unauthorized) await this.limits.takeAddress(request, reply);
      throw error;
    }
  }
}
