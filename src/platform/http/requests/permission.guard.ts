import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyRequest } from 'fastify';
import { AppError, Forbidden, InsufficientAuthentication } from '../../errors';
import type { Permission } from '../../permissions/permissions';
import { type LimitedKind, type PersonRoute, personOf, type Principal, ROUTE_METADATA, type Session } from './caller';

interface Route {
  public?: 'limited' | 'unlimited';
  permission?: Permission | 'signed-in';
  person?: PersonRoute;
  noApiKeys?: true;
}

const NO_TENANT_TEXT: Readonly<Record<Exclude<LimitedKind, 'enrol' | 'step-up'>, string>> = {
  account: 'This session has no tenant: switch to one first.',
  closed: 'The tenant is closed.',
  restore: 'The account is being erased: restore it first.',
};

/**
 * Checks that the route is open to this kind of principal and that its permissions suffice. A route that declares
 * neither a permission nor `signed-in` is closed. Runs before the handler, and so before a stored response is replayed.
 */
@Injectable()
export class PermissionGuard implements CanActivate {
  private readonly routes = new WeakMap<object, Route>();

  constructor(private readonly reflector: Reflector) {}

  canActivate(context: ExecutionContext): boolean {
    const route = this.routeOf(context);
    if (route.public) return true;
    const { principal } = context.switchToHttp().getRequest<FastifyRequest>();
    if (!principal || route.permission === undefined) throw new Forbidden('This route is closed.');
    if (route.person) {
      admitPerson(principal, route.person);
      return true;
    }
    if (principal.kind !== 'tenant') throw refusalOf(principal.kind);
    const { caller } = principal;
    if (route.noApiKeys && caller.actor.type === 'api_key') throw new Forbidden('API keys may not call this route.');
    if (route.permission !== 'signed-in' && !caller.permissions.has(route.permission)) {
      const who = caller.actor.type === 'api_key' ? 'The API key' : `The role ${caller.role}`;
      throw new Forbidden(`${who} may not do this: it lacks ${route.permission}.`);
    }
    return true;
  }

  private routeOf(context: ExecutionContext): Route {
    const handler = context.getHandler();
    let route = this.routes.get(handler);
    if (!route) {
      const targets = [handler, context.getClass()];
      route = {
        public: this.reflector.getAllAndOverride(ROUTE_METADATA.PUBLIC, targets),
        permission: this.reflector.getAllAndOverride(ROUTE_METADATA.PERMISSION, targets),
        person: this.reflector.getAllAndOverride(ROUTE_METADATA.PERSON, targets),
        noApiKeys: this.reflector.getAllAndOverride(ROUTE_METADATA.NO_API_KEYS, targets),
      };
      this.routes.set(handler, route);
    }
    return route;
  }
}

/** @throws Forbidden, or what the kind of session lacks, unless the route is open to the principal */
export function admitPerson(principal: Principal, route: PersonRoute): void {
  const person = personOf(principal);
  if (!person) {
    if (!route.apiKeys) throw new Forbidden('API keys may not call this route.');
    return;
  }
  if (principal.kind !== 'tenant' && !route.kinds.includes(principal.kind)) throw refusalOf(principal.kind);
  if (principal.kind === 'tenant' && route.kinds.every((kind) => kind === 'restore')) {
    throw new Forbidden('There is nothing to restore.');
  }
  if (!route.singleSignOn && !isPersonal(person.session)) {
    throw new Forbidden('A session of single sign-on acts in its tenant alone: sign in personally first.');
  }
}

/** Whether the person has proved an own factor in this session, besides the claims of a provider. */
function isPersonal(session: Session): boolean {
  return session.connectionId === null || session.amr.some((method) => method === 'pwd' || method === 'hwk');
}

function refusalOf(kind: LimitedKind): AppError {
  if (kind === 'step-up') return new InsufficientAuthentication({ secondFactor: true });
  if (kind === 'enrol') {
    return new AppError('second_factor_enrolment_required', 'The tenant demands a second factor: add one first.');
  }
  return new Forbidden(NO_TENANT_TEXT[kind]);
}
