import { Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import type { JWTPayload } from 'jose';
import { Strategy } from 'passport';
import { ExtractJwt } from 'passport-jwt';
import { isUuid } from '../../platform/http/requests/text-formats';
import { type AccessClaims, AccessTokens } from './access-tokens';

type Done = (error: unknown, user?: object | false) => void;

/** A strategy of Passport for bearer tokens: jose verifies, and `validate` returns the holder. */
class BearerTokenStrategy extends Strategy {
  private readonly tokenOf = ExtractJwt.fromAuthHeaderAsBearerToken();

  constructor(
    private readonly verifyToken: (token: string) => Promise<JWTPayload>,
    private readonly validated: (claims: JWTPayload, done: Done) => void,
  ) {
    super();
  }

  override authenticate(request: Parameters<Strategy['authenticate']>[0]): void {
    const token = this.tokenOf(request);
    if (token === null) return this.fail('no bearer token');
    this.verifyToken(token).then(
      (claims) =>
        this.validated(claims, (error, user) => {
          if (error) this.error(error);
          else if (user) this.success(user);
          else this.fail('claims are missing or of the wrong kind');
        }),
      (error: Error) => this.fail(error.message),
    );
  }
}

export const ACCESS_TOKEN_STRATEGY = 'access-token';

/** Verifies access tokens: signature, issuer, audience, expiry, and that every claim is of the kind it must be. */
@Injectable()
export class AccessTokenStrategy extends PassportStrategy(BearerTokenStrategy, ACCESS_TOKEN_STRATEGY) {
  constructor(tokens: AccessTokens) {
    super((token: string) => tokens.verify(token));
  }

  /** Called with the claims of a token that jose has verified. */
  validate(claims: JWTPayload & Partial<Record<keyof AccessClaims, unknown>>): AccessClaims | false {
    const ids = [claims.sub, claims.sid, ...(claims.tenant_id === null ? [] : [claims.tenant_id])];
    const wellFormed =
      claims.type === 'access' &&
      typeof claims.exp === 'number' &&
      ids.every((id) => typeof id === 'string' && isUuid(id));
    return wellFormed && (claims as unknown as AccessClaims);
  }
}
