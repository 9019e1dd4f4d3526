import { createParamDecorator, type ExecutionContext, Injectable, type PipeTransform } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { OPTIONAL_PERSON, type Person, personOf } from '../../platform/http/requests/caller';
import { admitPerson } from '../../platform/http/requests/permission.guard';
import { addRouteConfig } from '../../platform/http/route-config';
import { Authenticator } from './authenticator';

/** Reads the session that a public route may be called with. */
@Injectable()
export class OptionalPersonPipe implements PipeTransform<FastifyRequest, Promise<Person | undefined>> {
  constructor(private readonly authenticator: Authenticator) {}

  /** @throws Unauthorized for a credential that does not count; Forbidden for one that may not call such a route */
  async transform(request: FastifyRequest): Promise<Person | undefined> {
    if (request.headers.authorization === undefined) return undefined;
    const principal = await this.authenticator.authenticate(request);
    admitPerson(principal, OPTIONAL_PERSON);
    return personOf(principal);
  }
}

const CurrentRequest = createParamDecorator((_: unknown, context: ExecutionContext) =>
  context.switchToHttp().getRequest<FastifyRequest>(),
);

/** Hands the person of the request's session to a method of a public route; undefined without a credential. */
export const OptionalPerson = (): ParameterDecorator => (target, name, index) => {
  CurrentRequest(OptionalPersonPipe)(target, name, index);
  addRouteConfig((target as Record<string | symbol, object>)[name as string] as object, { optionalCredential: true });
};
