import { createHmac, createSecretKey, type KeyObject, randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { errors, type JWTHeaderParameters, type JWTPayload, jwtVerify, SignJWT } from 'jose';
import { Config, required } from '../../platform/config/config';

/** The claims of an access token, as in the JWT (RFC 7519). */
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
const TYPE = 'JWT';
/**
 * The maximum difference of two processes' clocks, seconds: a token may be issued in the future of the other process.
 */
const CLOCK_SKEW = 5;
const KID_BYTES = 8;

interface SigningKey {
  kid: string;
  key: KeyObject;
}

/** A key with a name that does not reveal its secret. */
function signingKey(secret: string): SigningKey {
  const kid = createHmac('sha256', secret).update('kid of access tokens').digest().subarray(0, KID_BYTES);
  return { kid: kid.toString('base64url'), key: createSecretKey(Buffer.from(secret)) };
}

/** Signs and verifies access tokens. */
@Injectable()
export class AccessTokens {
  /** The signing one first; during a rotation also the previous one. */
  private readonly keys: readonly [SigningKey, ...SigningKey[]];
  /** Life of a token, seconds. */
  readonly lifetime: number;

  constructor(private readonly config: Config) {
    const previous = config.JWT_SECRET_PREVIOUS;
    this.keys = [signingKey(required(config, 'JWT_SECRET')), ...(previous === undefined ? [] : [signingKey(previous)])];
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
    const [{ kid, key }] = this.keys;
    return new SignJWT({ ...claims }).setProtectedHeader({ alg: ALGORITHM, typ: TYPE, kid }).sign(key);
  }

  /**
   * The claims of a token with a valid signature, type, times, issuer and audience. A token without a `kid` is older
   * than key ids, and may be of either key.
   * @throws an error of jose
   */
  async verify(token: string): Promise<JWTPayload> {
    const [current, previous] = this.keys;
    let isUnnamed = false;
    const keyOf = ({ kid }: JWTHeaderParameters): KeyObject => {
      isUnnamed = kid === undefined;
      const named = this.keys.find((candidate) => isUnnamed || candidate.kid === kid);
      if (!named) throw new errors.JWKSNoMatchingKey();
      return named.key;
    };
    try {
      return await this.verifyWith(token, keyOf);
    } catch (error) {
      const isOfPrevious = isUnnamed && previous && error instanceof errors.JWSSignatureVerificationFailed;
      if (!isOfPrevious || previous === current) throw error;
      return this.verifyWith(token, () => previous.key);
    }
  }

  private async verifyWith(token: string, keyOf: (header: JWTHeaderParameters) => KeyObject): Promise<JWTPayload> {
    const { payload } = await jwtVerify(token, keyOf as never, {
      algorithms: [ALGORITHM],
      typ: TYPE,
      issuer: this.config.JWT_ISSUER,
      audience: this.config.JWT_AUDIENCE,
      requiredClaims: ['exp', 'iat'],
    });
    this.assertIssuedSo(payload);
    return payload;
  }

  /**
   * A token that the service never issues is refused even with a valid signature: from the future, or with a longer
   * life.
   */
  private assertIssuedSo(payload: JWTPayload): void {
    const { iat, exp } = payload;
    const now = new Date().getTime() / 1000;
    if (typeof iat !== 'number' || iat > now + CLOCK_SKEW) {
      throw new errors.JWTClaimValidationFailed('issued in the future', payload, 'iat', 'check_failed');
    }
    if (typeof exp !== 'number' || exp - iat > this.lifetime) {
      throw new errors.JWTClaimValidationFailed('expires too late', payload, 'exp', 'check_failed');
    }
  }
}
