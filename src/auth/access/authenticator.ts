import { Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { Unauthorized } from '../../platform/errors';
import type { Principal } from '../../platform/http/requests/caller';

/** One kind of bearer token: its form, and the way from the token to its principal. */
export interface CredentialKind {
  /** Whether the token is of this kind, by its form alone. */
  matches(token: string): boolean;
  /** Makes the principal; synchronous if all data are cached. @throws Unauthorized, Forbidden */
  authenticate(token: string, request: FastifyRequest): Principal | Promise<Principal>;
}

/** Makes the principal of a request from its credential alone. Features register their kinds of credentials. */
@Injectable()
export class Authenticator {
  private readonly kinds: CredentialKind[] = [];

  register(kind: CredentialKind): void {
    this.kinds.push(kind);
  }

  /** @throws Unauthorized without exactly one valid credential */
  authenticate(request: FastifyRequest): Principal | Promise<Principal> {
    const token = bearerToken(request);
    const kind = this.kinds.find((candidate) => candidate.matches(token));
    if (!kind) {
      throw new Unauthorized('The access token is not valid.', {
        invalidToken: true,
        internal: 'the token has the form of no credential',
      });
    }
    return kind.authenticate(token, request);
  }
}

/**
 * The one bearer token of a request. Two credentials count as none, since the choice between them would be arbitrary.
 */
function bearerToken(request: FastifyRequest): string {
  const header = request.headers.authorization;
  if (header === undefined) throw new Unauthorized();
  const { rawHeaders } = request.raw;
  let count = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (name.length === 13 && name.toLowerCase() === 'authorization') count++;
  }
  const match = /^Bearer +([A-Za-z0-9._~+/-]+=*) *$/i.exec(header);
  if (count !== 1 || !match) {
    throw new Unauthorized('Send one Authorization header: Bearer and an access token or an API key.', {
      invalidToken: true,
      internal: count === 1 ? 'the Authorization header holds no bearer token' : `${count} Authorization headers`,
    });
  }
  return match[1] as string;
}
