import { Injectable } from '@nestjs/common';
import { SECRET_CHANGE } from '../../platform/audit/audit-entry';
import { AuditLog } from '../../platform/audit/audit-log';
import { TenantDatabase } from '../../platform/database/tenant-database';
import { NotFound } from '../../platform/errors';
import type { Caller } from '../../platform/http/requests/caller';
import { Idempotency, type IdempotentRequest } from '../../platform/http/responses/idempotency';
import { Json, Outcome, type WriteResult } from '../../platform/http/responses/results';
import { EventAccess } from '../event-types/event-access';
import { endpointTarget } from './endpoint-audit';
import { type EndpointParts, EndpointPartsCipher, haveSecrets } from './endpoint-parts';
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
    private readonly parts: EndpointPartsCipher,
    private readonly audit: AuditLog,
    private readonly access: EventAccess,
  ) {}

  /** The receiver's verification key, and the unmasked parts, if any. @throws NotFound */
  async find(caller: Caller, id: string): Promise<{ secret: string } & Partial<EndpointParts>> {
    const { tenantId } = caller;
    return this.database.transaction(caller, async (tx) => {
      const endpoint = await tx.repository(WebhookEndpoint).findOneBy({ tenantId, id });
      if (!endpoint) throw new NotFound('Endpoint', id);
      this.access.assertMayTake(caller, endpoint.eventTypes);
      this.audit.record(tx, caller, { action: 'webhook_endpoint.secret_read', target: endpointTarget(id) });
      const secret = this.secrets.show(endpoint);
      const parts = this.parts.decrypt(endpoint);
      return haveSecrets(parts) ? { secret, url: parts.url, headers: parts.headers } : { secret };
    });
  }

  /** Generates a new secret; the old one also signs during the overlap, an older one no longer. @throws NotFound */
  rotate(caller: Caller, id: string, overlapSeconds: number, request?: IdempotentRequest): Promise<WriteResult> {
    const { tenantId } = caller;
    return this.idempotency.transaction(caller, request, async (tx) => {
      const endpoint = await lockEndpoint(tx, id);
      this.access.assertMayTake(caller, endpoint.eventTypes);
      const next = this.secrets.create(endpoint, endpoint.signature);
      const overlapEnds = overlapSeconds > 0 ? new Date(new Date().getTime() + overlapSeconds * 1000) : null;
      await tx.repository(WebhookEndpoint).update({ tenantId, id }, this.secrets.rotated(endpoint, next, overlapEnds));
      this.audit.record(tx, caller, {
        action: 'webhook_endpoint.secret_rotated',
        target: endpointTarget(id),
        changes: { secret: SECRET_CHANGE, overlap_seconds: [null, overlapSeconds] },
      });
      return new Outcome(JSON.stringify({ secret: next.shown }), { secret: true });
    });
  }

  /** The public keys of all the tenant's endpoints that have one, as a JSON Web Key Set. */
  async jwks(caller: Caller): Promise<Json> {
    const { tenantId } = caller;
    const endpoints = await this.database.transaction(caller, (tx) =>
      tx.repository(WebhookEndpoint).find({ where: { tenantId }, order: { id: 'DESC' } }),
    );
    const now = new Date();
    return new Json(JSON.stringify({ keys: endpoints.flatMap((endpoint) => this.secrets.publicKeys(endpoint, now)) }));
  }
}
