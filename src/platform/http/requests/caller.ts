import { applyDecorators, createParamDecorator, type ExecutionContext, SetMetadata } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type { RequestOrigin } from '../../audit/audit-entry';
import type { TenantScope } from '../../database/tenant-database';
import type { Permission } from '../../permissions/permissions';
import { addRouteConfig } from '../route-config';

/** The author of a change, as history and events show it. */
export interface Actor {
  readonly type: 'user' | 'api_key';
  readonly id: string;
}

/** Authentication assurance: one factor, or two. */
export type Assurance = 'aal1' | 'aal2';

/** A sign-in of a person, and its methods. */
export interface Session {
  readonly id: string;
  /** The tenant that it is in, or its person. */
  readonly home: string;
  readonly userId: string;
  /** The sign-in that the session descends from: sessions made by switching share it, and end together. */
  readonly familyId: string;
  /** The methods used, by their names in RFC 8176. */
  readonly amr: readonly string[];
  readonly acr: Assurance;
  readonly authTime: Date;
  /** The time of the first sign-in of the family. */
  readonly signedInAt: Date;
  /** The single sign-on connection that made it. */
  readonly connectionId: string | null;
}

/** A credential that acts in a tenant: made by the authenticator from the credential alone. */
export interface Caller extends TenantScope {
  readonly actor: Actor;
  readonly role: string;
  readonly permissions: ReadonlySet<Permission>;
  /** Absent for an API key. */
  readonly session?: Session;
  /** The key that calls, if the actor is one. */
  readonly apiKey?: CallingKey;
  /** The origin of the request, as the audit log stores it. */
  readonly origin?: RequestOrigin;
  /** The permissions that the credential has by now, none once it has ended: for responses that take long. */
  readonly permissionsNow?: (caller: Caller) => ReadonlySet<Permission> | Promise<ReadonlySet<Permission>>;
}

/** The properties of an API key that a request needs. */
export interface CallingKey {
  readonly id: string;
  readonly name: string;
  readonly kind: 'tenant' | 'personal';
  /** Requests a second, within the limit of the tenant. */
  readonly rateLimit: number | null;
}

/** A person by a session of any kind; asked for by a handler that needs no tenant. */
export interface Person {
  readonly userId: string;
  /** Null for a session without a tenant. */
  readonly tenantId: string | null;
  readonly session: Session;
  readonly origin?: RequestOrigin;
}

/**
 * The sessions that may not act in a tenant: `account` has none, the tenant of `closed` is being deleted, `enrol` must
 * add a second factor first, `step-up` must use the person's second factor, `restore` belongs to a person who requested
 * erasure.
 */
export type LimitedKind = 'account' | 'closed' | 'enrol' | 'step-up' | 'restore';

/** The holder of a credential. Only the first kind is a {@link Caller}. */
export type Principal =
  | { readonly kind: 'tenant'; readonly caller: Caller }
  | { readonly kind: LimitedKind; readonly person: Person; readonly role?: string };

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by the authentication guard on every route that is not public. */
    principal?: Principal;
    /** The principal's caller, if it acts in a tenant. */
    caller?: Caller;
  }
  interface FastifyContextConfig {
    /** The route is open to callers without a credential, and counted against their address or not at all. */
    public?: 'limited' | 'unlimited';
    /** The route serves a public document. */
    document?: true;
  }
}

/** Bytes of a body that a caller without a credential may send: a registration is less than 2 KiB. */
const PUBLIC_BODY_LIMIT = 8 * 1024;
/** The additional sessions that a route for persons accepts, besides those that act in a tenant. */
export interface PersonRoute {
  kinds: readonly LimitedKind[];
  /** Whether a session that single sign-on made may call it before its person has signed in personally. */
  singleSignOn: boolean;
  /** Whether an API key may call it too. */
  apiKeys: boolean;
}

const PUBLIC = 'route:public';
const PERMISSION = 'route:permission';
const PERSON = 'route:person';
const STEP_UP = 'route:step-up';
const NO_API_KEYS = 'route:no-api-keys';

/** The requirements of a route for its caller, read by the guards. */
export const ROUTE_METADATA = { PUBLIC, PERMISSION, PERSON, STEP_UP, NO_API_KEYS } as const;

/**
 * Opens a route to callers without a credential; everything else is closed by default. Such a route is limited per
 * address, unless it is `unlimited` (health).
 */
export const Public =
  (limited: 'limited' | 'unlimited' = 'limited'): MethodDecorator =>
  (target, name, descriptor) => {
    SetMetadata(PUBLIC, limited)(target, name, descriptor);
    addRouteConfig(descriptor.value as object, { public: limited, bodyLimit: PUBLIC_BODY_LIMIT });
  };

/** The permission that a route requires, or `signed-in` for any credential. A route without either is refused. */
export const Requires = (permission: Permission | 'signed-in') => SetMetadata(PERMISSION, permission);

/**
 * Opens a route to persons whatever their tenant: to sessions that act in one, account sessions and those of a closed
 * tenant, and to the named kinds. The handler takes {@link CurrentPerson}. API keys are refused.
 */
export const ForPersons = (
  options: {
    also?: readonly LimitedKind[];
    only?: readonly LimitedKind[];
    singleSignOn?: boolean;
    apiKeys?: boolean;
  } = {},
): MethodDecorator =>
  applyDecorators(
    SetMetadata(PERMISSION, 'signed-in'),
    SetMetadata(PERSON, {
      kinds: options.only ?? ['account', 'closed', ...(options.also ?? [])],
      singleSignOn: options.singleSignOn ?? false,
      apiKeys: options.apiKeys ?? false,
    } satisfies PersonRoute),
  );

/** The requirements of a public route for the session that it may be called with: those of {@link ForPersons}. */
export const OPTIONAL_PERSON: PersonRoute = { kinds: ['account', 'closed'], singleSignOn: false, apiKeys: false };

/** Marks a route that requires a fresh sign-in (RFC 9470), with the person's second factor if there is one. */
export const StepUp = (): MethodDecorator => SetMetadata(STEP_UP, true);

/** Closes a route, or a controller, to API keys. */
export const NoApiKeys = (): MethodDecorator & ClassDecorator => SetMetadata(NO_API_KEYS, true);

/** Hands the caller to a controller's method. */
export const CurrentCaller = createParamDecorator((_: unknown, context: ExecutionContext): Caller => {
  const { caller } = context.switchToHttp().getRequest<FastifyRequest>();
  if (!caller) throw new Error('the route is public, or for persons: it has no caller');
  return caller;
});

/** Hands the principal to a method of a route that is for persons and API keys. */
export const CurrentPrincipal = createParamDecorator((_: unknown, context: ExecutionContext): Principal => {
  const { principal } = context.switchToHttp().getRequest<FastifyRequest>();
  if (!principal) throw new Error('the route is public: it has no principal');
  return principal;
});

/** Hands the person to a method of a route that is {@link ForPersons}. */
export const CurrentPerson = createParamDecorator((_: unknown, context: ExecutionContext): Person => {
  const { principal } = context.switchToHttp().getRequest<FastifyRequest>();
  const person = principal && personOf(principal);
  if (!person) throw new Error('the route is public, or for API keys: it has no person');
  return person;
});

/** The person behind a principal; undefined for an API key. */
export function personOf(principal: Principal): Person | undefined {
  if (principal.kind !== 'tenant') return principal.person;
  const { tenantId, session, origin } = principal.caller;
  return session && { userId: session.userId, tenantId, session, origin };
}
