import { type CanActivate, type ExecutionContext, Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Unauthorized } from '../../platform/errors';
import type { Principal } from '../../platform/http/requests/caller';
import { RequestLimits } from '../../platform/http/limits/request-limits';
import { Authenticator } from './authenticator';

/** Requests without a body: the guard is early enough for them. */
const WITHOUT_BODY: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * The first guard: denies by default. It makes the principal, and with it the tenant, from the credential alone. If the
 * request has a body, the credential is checked and the request counted before the body is read.
 */
@Injectable()
export class AuthenticationGuard implements CanActivate, OnModuleInit {
  constructor(
    private readonly authenticator: Authenticator,
    private readonly limits: RequestLimits,
    private readonly host: HttpAdapterHost,
  ) {}

  onModuleInit(): void {
    // The operator's commands load the features without a server.
    const adapter = this.host.httpAdapter as HttpAdapterHost['httpAdapter'] | null;
    const server = adapter?.getInstance<FastifyInstance>();
    server?.addHook('onRequest', (request, reply, done) => {
      if (WITHOUT_BODY.has(request.method)) return done();
      try {
        const pending = this.beforeBody(request, reply);
        if (pending) pending.then(() => done(), done);
        else done();
      } catch (error) {
        done(error as Error);
      }
    });
  }

  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    const http = context.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    if (request.routeOptions.config.public || request.principal) return true;
    const pending = this.admit(request, http.getResponse<FastifyReply>());
    return pending ? pending.then(() => true) : true;
  }

  private beforeBody(request: FastifyRequest, reply: FastifyReply): void | Promise<void> {
    const pending = request.routeOptions.config.public ? undefined : this.admit(request, reply);
    return pending ? pending.then(() => this.limits.count(request, reply)) : this.limits.count(request, reply);
  }

  /**
   * Makes the principal of a request; synchronous if its credential is cached. @throws Unauthorized; RateLimited after
   * too many attempts of an address
   */
  private admit(request: FastifyRequest, reply: FastifyReply): void | Promise<void> {
    try {
      const principal = this.authenticator.authenticate(request);
      if (!(principal instanceof Promise)) return setPrincipal(request, principal);
      return principal.then(
        (made) => setPrincipal(request, made),
        (error: unknown) => this.refuse(error, request, reply),
      );
    } catch (error) {
      return this.refuse(error, request, reply);
    }
  }

  /** A token that does not count belongs to no tenant: it counts against its address. */
  private async refuse(error: unknown, request: FastifyRequest, reply: FastifyReply): Promise<never> {
    if (error instanceof Unauthorized) await this.limits.takeAddress(request, reply);
    throw error;
  }
}

function setPrincipal(request: FastifyRequest, principal: Principal): void {
  request.principal = principal;
  if (principal.kind === 'tenant') request.caller = principal.caller;
}
