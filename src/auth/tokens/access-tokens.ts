import { createSecretKey, type KeyObject, randomUUID } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { type JWTPayload, jwtVerify, SignJWT } from 'jose';
import { type Config, required } from '../../platform/config/config';
import { CONFIG } from '../../platform/config/config.module';

/** The claims of an access token, as they stand in the JWT (RFC 7519). */
export interface AccessClaims {
  sub: string;
  /** Null for a session without a tenant. */
  tenant_id: string | null;
  type: 'access';
  /** Null for a session without a tenant. */
  role: string | null;
  sid: string;
  iss: string;
  aud: string;
  iat: number;
  exp: number;
  jti: string;
}

/** The subject of an access token: a session, and the tenant it acts in. */
export interface AccessSubject {
  userId: string;
  tenantId: string | null;
  role: string | null;
  sessionId: string;
}

const ALGORITHM = 'HS256';

/** Signs and verifies access tokens. */
@Injectable()
export class AccessTokens {
  private readonly key: KeyObject;
  /** Life of a token, seconds. */
  readonly lifetime: number;

  constructor(@Inject(CONFIG) private readonly config: Config) {
    this.key = createSecretKey(Buffer.from(required(config, 'JWT_SECRET')));
    this.lifetime = config.ACCESS_TOKEN_EXPIRE_MINUTES * 60;
  }

  /** A token for a session. */
  sign(subject: AccessSubject): Promise<string> {
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
    return new SignJWT({ ...claims }).setProtectedHeader({ alg: ALGORITHM, typ: 'JWT' }).sign(this.key);
  }

  /** The claims of a token whose signature, times, issuer and audience are right. @throws an error of jose */
  async verify(token: string): Promise<JWTPayload> {
    const { payload } = await jwtVerify(token, this.key, {
      algorithms: [ALGORITHM],
      issuer: this.config.JWT_ISSUER,
      audience: this.config.JWT_AUDIENCE,
      requiredClaims: ['exp'],
    });
    return payload;
  }
}
