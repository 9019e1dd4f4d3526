import { Injectable } from '@nestjs/common';
import { TenantDatabase } from '../../platform/database/tenant-database';
import { NotFound } from '../../platform/errors';
import type { Caller } from '../../platform/http/requests/caller';
import { type Answer, Idempotency, type IdempotentRequest } from '../../platform/http/responses/idempotency';
import { EndpointSecrets } from './endpoint-secrets';
import { lockEndpoint } from './endpoints.service';
import { WebhookEndpoint } from './webhook-endpoint.entity';

/** Shows and rotates the secrets of endpoints. They are no part of an endpoint's version. */
@Injectable()
export class SecretsService {
  constructor(
    private readonly database: TenantDatabase,
    private readonly idempotency: Idempotency,
    private readonly secrets: EndpointSecrets,
  ) {}

  /** What a receiver verifies with. @throws NotFound */
  async find(caller: Caller, id: string): Promise<string> {
    const { tenantId } = caller;
    const endpoint = await this.database.transaction(caller, (tx) =>
      tx.repository(WebhookEndpoint).findOneBy({ tenantId, id }),
    );
    if (!endpoint) throw new NotFound('Endpoint', id);
    return this.secrets.show(endpoint);
  }

  /** Makes a new secret; the old one signs beside it for the overlap, an older one no more. @throws NotFound */
  rotate(caller: Caller, id: string, overlapSeconds: number, request?: IdempotentRequest): Promise<Answer> {
    const { tenantId } = caller;
    return this.idempotency.transaction(caller, request, async (tx) => {
      const endpoint = await lockEndpoint(tx, id);
      const next = this.secrets.create(endpoint, endpoint.signature);
      const overlapEnds = overlapSeconds > 0 ? new Date(Date.now() + overlapSeconds * 1000) : null;
      await tx.repository(WebhookEndpoint).update({ tenantId, id }, this.secrets.rotated(endpoint, next, overlapEnds));
      return { status: 200, headers: {}, body: JSON.stringify({ secret: next.shown }), secret: true };
    });
  }

  /** The public keys of all the tenant's endpoints that have one, as a JSON Web Key Set. */
  async jwks(caller: Caller): Promise<string> {
    const { tenantId } = caller;
    const endpoints = await this.database.transaction(caller, (tx) =>
      tx.repository(WebhookEndpoint).find({ where: { tenantId }, order: { id: 'DESC' } }),
    );
    const now = new Date();
    return JSON.stringify({ keys: endpoints.flatMap((endpoint) => this.secrets.publicKeys(endpoint, now)) });
  }
}
