import { createParamDecorator, type ExecutionContext, SetMetadata } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type { RequestOrigin } from '../../audit/audit-entry';
import type { TenantScope } from '../../database/tenant-database';
import type { Permission } from '../../permissions/permissions';
import { addRouteConfig } from '../route-config';

/** Who did something, as history and events show it. */
export interface Actor {
  readonly type: 'user';
  readonly id: string;
}

/** Who calls, and for which tenant: made by the tenant guard from the credential alone. */
export interface Caller extends TenantScope {
  readonly actor: Actor;
  readonly role: string;
  readonly sessionId: string;
  readonly permissions: ReadonlySet<Permission>;
  /** As the audit log keeps it. */
  readonly session?: { readonly id: string };
  readonly origin?: RequestOrigin;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by the tenant guard on every route that is not public. */
    caller?: Caller;
  }
  interface FastifyContextConfig {
    /** The route is open to callers without a credential. */
    public?: true;
  }
}

const PUBLIC = 'route:public';
const PERMISSION = 'route:permission';

/** What a route asks of its caller, read by the tenant guard. */
export const ROUTE_METADATA = { PUBLIC, PERMISSION } as const;

/**
 * Opens a route to callers without a credential; everything else is closed by default. Such a route is limited per
 * address, unless it is `unlimited` (health).
 */
export const Public =
  (limited: 'limited' | 'unlimited' = 'limited'): MethodDecorator =>
  (target, name, descriptor) => {
    SetMetadata(PUBLIC, limited)(target, name, descriptor);
    addRouteConfig(descriptor.value as object, { public: true });
  };

/** The permission a route asks for, or `signed-in` where any credential will do. A route that says neither is refused. */
export const Requires = (permission: Permission | 'signed-in') => SetMetadata(PERMISSION, permission);

/** Hands the caller to a controller's method. */
export const CurrentCaller = createParamDecorator((_: unknown, context: ExecutionContext): Caller => {
  const { caller } = context.switchToHttp().getRequest<FastifyRequest>();
  if (!caller) throw new Error('the route is public: it has no caller');
  return caller;
});
