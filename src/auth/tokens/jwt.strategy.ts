import { Inject, Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { ExtractJwt, Strategy } from 'passport-jwt';
import { type Config, required } from '../../platform/config/config';
import { CONFIG } from '../../platform/config/config.module';
import { isUuid } from '../../platform/http/requests/fields';
import type { AccessClaims } from './access-tokens';

/** Verifies access tokens: HS256 alone, our issuer and audience, not expired, every claim of the kind it must be. */
@Injectable()
export class JwtStrategy extends PassportStrategy(Strategy, 'jwt') {
  constructor(@Inject(CONFIG) config: Config) {
    super({
      jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(),
      secretOrKey: required(config, 'JWT_SECRET'),
      algorithms: ['HS256'],
      issuer: config.JWT_ISSUER,
      audience: config.JWT_AUDIENCE,
    });
  }

  /** Called with the claims of a token whose signature, times, issuer and audience are right. */
  validate(claims: Partial<Record<keyof AccessClaims, unknown>>): AccessClaims | false {
    const ids = [claims.sub, claims.tenant_id, claims.sid];
    const wellFormed =
      claims.type === 'access' &&
      typeof claims.exp === 'number' &&
      ids.every((id) => typeof id === 'string' && isUuid(id));
    return wellFormed && (claims as AccessClaims);
  }
}
