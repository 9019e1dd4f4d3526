/** Conditions of requests (RFC 9110, 13): the interface of routes and services to `If-Match` and `If-None-Match`. */
import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { addRouteConfig } from '../route-config';
import { assertMatch, etagOf, etagOfContent } from './etag';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route responds with 304 if `If-None-Match` names the tag of the resource. */
    conditional?: true;
  }
}

/** The version of a resource on which the caller bases a change. */
export class Precondition {
  constructor(private readonly ifMatch: string) {}

  /** @throws VersionConflict if the resource has another version; MalformedRequest for a header that is no list */
  assertVersion(version: number): void {
    assertMatch(this.ifMatch, etagOf(version));
  }

  /** The same for a resource whose tag is derived from its bytes. @throws as {@link assertVersion} */
  assertContent(json: string): void {
    assertMatch(this.ifMatch, etagOfContent(json));
  }
}

/** Passes the request's `If-Match` to a controller's method; undefined without one. */
export const IfMatch = createParamDecorator((_: unknown, context: ExecutionContext): Precondition | undefined => {
  const ifMatch = context.switchToHttp().getRequest<FastifyRequest>().headers['if-match'];
  return ifMatch === undefined ? undefined : new Precondition(ifMatch);
});

/** Marks a route that responds with 304 if `If-None-Match` names the resource's tag. */
export const Conditional = (): MethodDecorator => (_target, _name, descriptor) => {
  addRouteConfig(descriptor.value as object, { conditional: true });
};
