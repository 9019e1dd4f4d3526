import { Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { type Person, personOf } from '../../platform/http/requests/caller';
import { Authenticator } from './authenticator';

/** For public routes that a person may call with a session as well. */
@Injectable()
export class OptionalPerson {
  constructor(private readonly authenticator: Authenticator) {}

  /**
   * The person of the request's session; undefined without a credential. @throws Unauthorized for one that does not
   * count
   */
  async of(request: FastifyRequest): Promise<Person | undefined> {
    if (request.headers.authorization === undefined) return undefined;
    return personOf(await this.authenticator.authenticate(request));
  }
}
