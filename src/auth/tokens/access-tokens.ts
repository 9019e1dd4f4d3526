import { createHmac, randomUUID } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { type Config, required } from '../../platform/config/config';
import { CONFIG } from '../../platform/config/config.module';

/** The claims of an access token, as they stand in the JWT (RFC 7519). */
export interface AccessClaims {
  sub: string;
  tenant_id: string;
  type: 'access';
  role: string;
  sid: string;
  iss: string;
  aud: string;
  iat: number;
  exp: number;
  jti: string;
}

const HEADER = Buffer.from(JSON.stringify({ alg: 'HS256', typ: 'JWT' })).toString('base64url');

/** Signs access tokens. They are verified by passport-jwt, in `jwt.strategy.ts`. */
@Injectable()
export class AccessTokens {
  private readonly secret: string;
  /** Life of a token, seconds. */
  readonly lifetime: number;

  constructor(@Inject(CONFIG) private readonly config: Config) {
    this.secret = required(config, 'JWT_SECRET');
    this.lifetime = config.ACCESS_TOKEN_EXPIRE_MINUTES * 60;
  }

  /** A token for a user's session in a tenant. */
  sign(subject: { userId: string; tenantId: string; role: string; sessionId: string }): string {
    const now = Math.floor(new Date().getTime() / 1000);
    const claims: AccessClaims = {
      sub: subject.userId,
      tenant_id: subject.tenantId,
      type: 'access',
      role: subject.role,
      sid: subject.sessionId,
      iss: this.config.JWT_ISSUER,
      aud: this.config.JWT_AUDIENCE,
      iat: now,
      exp: now + this.lifetime,
      jti: randomUUID(),
    };
    const content = `${HEADER}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`;
    return `${content}.${createHmac('sha256', this.secret).update(content).digest('base64url')}`;
  }
}
