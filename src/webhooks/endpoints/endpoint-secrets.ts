/** Secrets of endpoints: generated, stored encrypted, shown to permitted callers, rotated with an overlap. */
import { Inject, Injectable } from '@nestjs/common';
import type { JsonWebKey } from 'node:crypto';
import { SecretBoxError } from '../../platform/crypto/secret-box';
import { SECRET_BOX, type SecretBox } from '../../platform/crypto/secret-box.module';
import { newSecret, newSigningKeyPair, publicJwk, publicKeyOf } from '../http-client/signature';
import type { Signature, WebhookEndpoint } from './webhook-endpoint.entity';

/** The encryption context of an endpoint's secrets: in another row they do not decrypt. */
export function secretContext(tenantId: string, endpointId: string): string {
  return `${tenantId}/${endpointId}`;
}

/** A secret in its stored form and in the form for its owner. */
export interface NewEndpointSecret {
  encrypted: string;
  shown: string;
}

/** The columns of an endpoint in which its secrets are. */
type Secrets = Pick<WebhookEndpoint, 'secret' | 'previousSecret' | 'previousSecretExpiresAt'>;

type Owner = Pick<WebhookEndpoint, 'tenantId' | 'id'>;

@Injectable()
export class EndpointSecrets {
  constructor(@Inject(SECRET_BOX) private readonly box: SecretBox) {}

  /** A new secret: for `v1` a shared one, for `v1a` a private key, of which only the public half is ever shown. */
  create(owner: Owner, signature: Signature): NewEndpointSecret {
    const pair = signature === 'v1a' ? newSigningKeyPair() : undefined;
    const secret = pair?.privateKey ?? newSecret();
    const encrypted = this.box.encrypt(secret, secretContext(owner.tenantId, owner.id));
    return { encrypted: encrypted, shown: pair?.publicKey ?? secret };
  }

  /** The receiver's verification key: the shared secret, or the public key. */
  show(endpoint: Owner & Secrets): string {
    const secret = this.decrypt(endpoint, endpoint.secret);
    return isPrivateKey(secret) ? publicKeyOf(secret) : secret;
  }

  /** The columns after a rotation: the old secret also signs until the given time, if any. */
  rotated(endpoint: Secrets, next: NewEndpointSecret, overlapEnds: Date | null): Secrets {
    return {
      secret: next.encrypted,
      previousSecret: overlapEnds && endpoint.secret,
      previousSecretExpiresAt: overlapEnds,
    };
  }

  /** The public keys with which an endpoint's messages may be signed at this time. */
  publicKeys(endpoint: Owner & Secrets, now: Date): (JsonWebKey & { kid: string })[] {
    const { id, secret, previousSecret, previousSecretExpiresAt: until } = endpoint;
    const keys = [{ kid: id, encrypted: secret }];
    if (previousSecret && until && until > now) keys.push({ kid: `${id}/previous`, encrypted: previousSecret });
    return keys.flatMap(({ kid, encrypted }) => {
      const key = encrypted === secret ? this.decrypt(endpoint, encrypted) : this.decryptPrevious(endpoint, encrypted);
      return key !== undefined && isPrivateKey(key) ? [{ ...publicJwk(publicKeyOf(key)), kid }] : [];
    });
  }

  /** A previous secret with a lost key no longer signs. */
  private decryptPrevious(owner: Owner, encrypted: string): string | undefined {
    try {
      return this.decrypt(owner, encrypted);
    } catch (error) {
      if (error instanceof SecretBoxError) return undefined;
      throw error;
    }
  }

  private decrypt(owner: Owner, encrypted: string): string {
    return this.box.decrypt(encrypted, secretContext(owner.tenantId, owner.id));
  }
}

function isPrivateKey(secret: string): boolean {
  return secret.startsWith('whsk_');
}
