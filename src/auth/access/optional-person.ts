import { createParamDecorator, type ExecutionContext, Injectable, type PipeTransform } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { type Person, personOf } from '../../platform/http/requests/caller';
import { addRouteConfig } from '../../platform/http/route-config';
import { Authenticator } from './authenticator';

/** Reads the session that a public route may be called with. */
@Injectable()
export class OptionalPersonPipe implements PipeTransform<FastifyRequest, Promise<Person | undefined>> {
  constructor(private readonly authenticator: Authenticator) {}

  /** @throws Unauthorized for a credential that does not count */
  async transform(request: FastifyRequest): Promise<Person | undefined> {
    if (request.headers.authorization === undefined) return undefined;
    return personOf(await this.authenticator.authenticate(request));
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
