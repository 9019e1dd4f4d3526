/** Secrets of endpoints: made, kept sealed, shown to whoever may read them, rotated with an overlap. */
import { Inject, Injectable } from '@nestjs/common';
import type { JsonWebKey } from 'node:crypto';
import { SECRET_BOX, type SecretBox } from '../../platform/crypto/secret-box.module';
import { newSecret, newSigningKeyPair, publicJwk, publicKeyOf } from '../http-client/signature';
import type { Signature, WebhookEndpoint } from './webhook-endpoint.entity';

/** What an endpoint's sealed secrets are bound to: in another row they do not open. */
export function secretContext(tenantId: string, endpointId: string): string {
  return `${tenantId}/${endpointId}`;
}

/** A secret as the row has it, and as its owner is shown it. */
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

  /** What a receiver verifies with: the shared secret, or the public key. */
  show(endpoint: Owner & Secrets): string {
    const secret = this.open(endpoint, endpoint.secret);
    return isPrivateKey(secret) ? publicKeyOf(secret) : secret;
  }

  /** The columns after a rotation: the secret until now signs beside the new one until the time given, if any. */
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
      const key = this.open(endpoint, sealed);
      return isPrivateKey(key) ? [{ ...publicJwk(publicKeyOf(key)), kid }] : [];
    });
  }

  private open(owner: Owner, sealed: string): string {
    return this.box.decrypt(sealed, secretContext(owner.tenantId, owner.id));
  }
}

function isPrivateKey(secret: string): boolean {
  return secret.startsWith('whsk_');
}
