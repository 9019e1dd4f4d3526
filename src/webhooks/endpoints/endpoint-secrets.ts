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
  sealed: string;
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
    const sealed = this.box.encrypt(secret, secretContext(owner.tenantId, owner.id));
    return { sealed, shown: pair?.publicKey ?? secret };
  }

  /** The receiver's verification key: the shared secret, or the public key. */
  show(endpoint: Owner & Secrets): string {
    const secret = this.open(endpoint, endpoint.secret);
    return isPrivateKey(secret) ? publicKeyOf(secret) : secret;
  }

  /** The columns after a rotation: the old secret also signs until the given time, if any. */
  rotated(endpoint: Secrets, next: NewEndpointSecret, overlapEnds: Date | null): Secrets {
    return {
      secret: next.sealed,
      previousSecret: overlapEnds && endpoint.secret,
      previousSecretExpiresAt: overlapEnds,
    };
  }

  /** The public keys with which an endpoint's messages may be signed at this time. */
  publicKeys(endpoint: Owner & Secrets, now: Date): (JsonWebKey & { kid: string })[] {
    const { id, secret, previousSecret, previousSecretExpiresAt: until } = endpoint;
    const keys = [{ kid: id, sealed: secret }];
    if (previousSecret && until && until > now) keys.push({ kid: `${id}/previous`, sealed: previousSecret });
    return keys.flatMap(({ kid, sealed }) => {
      const key = sealed === secret ? this.open(endpoint, sealed) : this.openPrevious(endpoint, sealed);
      return key !== undefined && isPrivateKey(key) ? [{ ...publicJwk(publicKeyOf(key)), kid }] : [];
    });
  }

  /** A previous secret with a lost key no longer signs. */
  private openPrevious(owner: Owner, sealed: string): string | undefined {
    try {
      return this.open(owner, sealed);
    } catch (error) {
      if (error instanceof SecretBoxError) return undefined;
      throw error;
    }
  }

  private open(owner: Owner, sealed: string): string {
    return this.box.decrypt(sealed, secretContext(owner.tenantId, owner.id));
  }
}

function isPrivateKey(secret: string): boolean {
  return secret.startsWith('whsk_');
}
