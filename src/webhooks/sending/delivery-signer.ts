import { Inject, Injectable } from '@nestjs/common';
import { SecretBoxError } from '../../platform/crypto/secret-box';
import { SECRET_BOX, type SecretBox } from '../../platform/crypto/secret-box.module';
import type { EndpointParts } from '../endpoints/endpoint-parts';
import { secretContext } from '../endpoints/endpoint-secrets';
import { sign } from '../http-client/signature';
import type { LoadedDelivery } from './delivery-loader';
import type { SendingRow } from './sending.queries';

const MAX_DECRYPTED = 2_000;

/** A signed message with its destination. */
export interface SignedMessage extends EndpointParts {
  timestamp: number;
  signature: string;
}

/** Decrypts the secrets and the destinations of endpoints, and signs messages. */
@Injectable()
export class DeliverySigner {
  /** The secrets of recently used endpoints, by context and encrypted text. */
  private readonly decrypted = new Map<string, string>();

  constructor(@Inject(SECRET_BOX) private readonly box: SecretBox) {}

  /** Signs the exact bytes of a message. @throws SecretBoxError when a secret cannot be decrypted */
  sign(tenantId: string, { row, body }: LoadedDelivery): SignedMessage {
    const timestamp = Math.floor(new Date().getTime() / 1000);
    const { url, headers } = this.partsOf(tenantId, row);
    return {
      url,
      headers,
      timestamp,
      signature: sign({ id: row.id, timestamp, body, secrets: this.secretsOf(tenantId, row) }),
    };
  }

  /** The secrets to sign with, the current one first; the previous one during its overlap. */
  private secretsOf(tenantId: string, row: SendingRow): string[] {
    const context = secretContext(tenantId, row.endpoint_id);
    const secrets = [this.decrypt(row.secret, context)];
    if (row.previous_secret) {
      try {
        secrets.push(this.decrypt(row.previous_secret, context));
      } catch (error) {
        // Its key is lost, which is why a tenant rotates: the new secret signs alone.
        if (!(error instanceof SecretBoxError)) throw error;
      }
    }
    return secrets;
  }

  /** The destination and the headers. */
  private partsOf(tenantId: string, { url, headers, endpoint_id, encrypted_parts: parts }: SendingRow): EndpointParts {
    if (parts === null) return { url, headers };
    return JSON.parse(this.decrypt(parts, secretContext(tenantId, endpoint_id))) as EndpointParts;
  }

  private decrypt(encrypted: string, context: string): string {
    const key = `${context} ${encrypted}`;
    let secret = this.decrypted.get(key);
    if (secret === undefined) {
      secret = this.box.decrypt(encrypted, context);
      if (this.decrypted.size >= MAX_DECRYPTED) this.decrypted.clear();
      this.decrypted.set(key, secret);
    }
    return secret;
  }
}
