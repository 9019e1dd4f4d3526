import { Injectable } from '@nestjs/common';
import { AuditLog } from '../../platform/audit/audit-log';
import { TenantDatabase, type TenantTransaction } from '../../platform/database/tenant-database';
import { NotFound } from '../../platform/errors';
import type { Caller } from '../../platform/http/requests/caller';
import { Idempotency, type IdempotentRequest } from '../../platform/http/responses/idempotency';
import type { Precondition } from '../../platform/http/responses/conditional-requests';
import {
  type JsonPage,
  type JsonRow,
  Outcome,
  Representation,
  type WriteResult,
} from '../../platform/http/responses/results';
import type { PageDto } from '../../platform/http/requests/page.dto';
import { Cursors } from '../../platform/http/responses/pagination';
import { newTimedId } from '../../platform/ids/ids';
import { type ConsentColumns, EndpointConsent } from './endpoint-consent';
import { changedParts, EndpointPartsCipher } from './endpoint-parts';
import { EndpointQuota } from './endpoint-quota';
import { EndpointSecrets } from './endpoint-secrets';
import { auditedChanges, creationOf, endpointTarget } from './endpoint-audit';
import type { CreateEndpointDto, UpdateEndpointDto } from './endpoints.requests';
import * as queries from './endpoints.queries';
import { EventAccess } from '../event-types/event-access';
import { DispatchRequests } from '../notifications/dispatch-request';
import { WebhookEndpoint } from './webhook-endpoint.entity';

/** Waiting deliveries that are ended with a change of their endpoint; the dispatcher ends the rest. */
const ENDED_AT_ONCE = 10_000;
const DEFAULT_OVERLAP_MS = 24 * 60 * 60 * 1000;
const DISABLED_BY_A_PERSON = 'Disabled by a person.';

/** An endpoint of a tenant that receives events. */
@Injectable()
export class EndpointsService {
  constructor(
    private readonly database: TenantDatabase,
    private readonly idempotency: Idempotency,
    private readonly cursors: Cursors,
    private readonly secrets: EndpointSecrets,
    private readonly parts: EndpointPartsCipher,
    private readonly consent: EndpointConsent,
    private readonly signal: DispatchRequests,
    private readonly audit: AuditLog,
    private readonly access: EventAccess,
    private readonly quota: EndpointQuota,
  ) {}

  /**
   * Creates an endpoint; its secret is in the response. @throws AppError `business_rule_violation` beyond the maximum
   */
  create(caller: Caller, input: CreateEndpointDto, request?: IdempotentRequest): Promise<WriteResult> {
    const { tenantId } = caller;
    this.access.assertMayTake(caller, input.event_types);
    // The quota counts under an advisory lock.
    return this.idempotency.transaction({ ...caller, central: true }, request, async (tx) => {
      const { id, at } = newTimedId();
      await this.quota.assertRoom(tx, id, input.url, true);
      const signature = input.signature ?? 'v1';
      const secret = this.secrets.create({ tenantId, id }, signature);
      const enabled = input.enabled ?? true;
      const consent = this.consent.columnsFor(input.url);
      await tx.repository(WebhookEndpoint).insert({
        tenantId,
        id,
        ...this.parts.encrypt({ tenantId, id }, { url: input.url, headers: input.headers ?? {} }),
        description: input.description ?? null,
        eventTypes: distinct(input.event_types),
        rateLimit: input.rate_limit ?? null,
        ordering: input.ordering ?? 'none',
        signature,
        secret: secret.encrypted,
        previousSecret: null,
        previousSecretExpiresAt: null,
        ...consent,
        enabled,
        disabledReason: enabled ? null : DISABLED_BY_A_PERSON,
        failingSince: null,
        version: 1,
        createdAt: at,
        updatedAt: at,
      });
      if (enabled) this.consent.requestConsent(tx, id, consent);
      const { json, version } = await represent(tx, id);
      const target = endpointTarget(id);
      this.audit.record(tx, caller, { action: 'webhook_endpoint.created', target, changes: creationOf(input) });
      const shown = `${json.slice(0, -1)},"secret":${JSON.stringify(secret.shown)}}`;
      return new Outcome(shown, { id, version, secret: true });
    });
  }

  /** A page of endpoints, newest first. @throws AppError `invalid_cursor` */
  list(caller: Caller, page: PageDto): Promise<JsonPage> {
    const scope = { tenant: caller, list: 'webhooks/endpoints', filters: {} };
    return this.cursors.page(scope, page, (afterId, count) =>
      this.database.query<JsonRow>(caller, queries.listEndpointsJson(caller.tenantId, afterId, count)),
    );
  }

  /** @throws NotFound */
  async find(caller: Caller, id: string): Promise<Representation> {
    return representationOf(
      id,
      await this.database.query<queries.ShownEndpoint>(caller, queries.findEndpointJson(caller.tenantId, id)),
    );
  }

  /** @throws NotFound; Forbidden if the endpoint takes events that the caller may not read */
  async assertMayUse(caller: Caller, id: string, presence: 'there' | 'or-gone' = 'there'): Promise<void> {
    const statement = queries.findEndpointJson(caller.tenantId, id);
    const [row] = await this.database.query<queries.ShownEndpoint>(caller, statement);
    if (row) this.access.assertMayTake(caller, row.event_types);
    else if (presence === 'there') throw new NotFound('Endpoint', id);
  }

  /**
   * Changes an endpoint; without a difference the version stays. Waiting deliveries of a disabled endpoint become
   * `disabled`, up to a bounded number in the same transaction.
   * @throws NotFound; VersionConflict
   */
  update(caller: Caller, id: string, input: UpdateEndpointDto, ifMatch?: Precondition): Promise<Representation> {
    const { tenantId } = caller;
    const scope = { ...caller, central: input.url !== undefined };
    return this.database.transaction(scope, async (tx) => {
      const endpoint = await lockEndpoint(tx, id);
      ifMatch?.assertVersion(endpoint.version);
      this.access.assertMayTake(caller, [...endpoint.eventTypes, ...(input.event_types ?? [])]);
      const now = new Date();
      const stored = this.parts.decrypt(endpoint);
      const parts = changedParts(stored, input);
      const change = this.changeOf({ ...endpoint, ...stored }, { ...input, ...parts }, now);
      if (Object.keys(change).length > 0) {
        if (change.url !== undefined) await this.quota.assertRoom(tx, id, change.url, false);
        const columns = change.url === undefined && !change.headers ? {} : this.parts.encrypt(endpoint, parts);
        const consent = change.url === undefined ? endpoint : this.consent.columnsFor(change.url);
        if (change.enabled ?? endpoint.enabled) this.requestNewConsent(tx, endpoint, change, consent);
        await tx.repository(WebhookEndpoint).update(
          { tenantId, id },
          {
            ...change,
            ...columns,
            consent: consent.consent,
            challenge: consent.challenge,
            version: endpoint.version + 1,
            updatedAt: now,
          },
        );
        const changes = auditedChanges({ ...endpoint, ...stored }, change);
        this.audit.record(tx, caller, { action: 'webhook_endpoint.updated', target: endpointTarget(id), changes });
        if (change.enabled === false) tx.defer(queries.endWaiting(tenantId, id, 'disabled', now, ENDED_AT_ONCE));
        this.signal.send(tx, { tenantId, endpointId: id });
      }
      return represent(tx, id);
    });
  }

  /** Removes an endpoint; its waiting deliveries are cancelled. @throws NotFound; VersionConflict */
  async remove(caller: Caller, id: string, ifMatch?: Precondition): Promise<void> {
    const { tenantId } = caller;
    await this.database.transaction(caller, async (tx) => {
      const endpoint = await lockEndpoint(tx, id);
      ifMatch?.assertVersion(endpoint.version);
      await tx.repository(WebhookEndpoint).delete({ tenantId, id });
      this.audit.record(tx, caller, { action: 'webhook_endpoint.deleted', target: endpointTarget(id) });
      tx.defer(queries.endWaiting(tenantId, id, 'cancelled', new Date(), ENDED_AT_ONCE));
      this.signal.send(tx, { tenantId, endpointId: id });
    });
  }

  /** Requests the consent of a receiver: of a new endpoint, or of one that was disabled during its first request. */
  private requestNewConsent(
    tx: TenantTransaction,
    endpoint: WebhookEndpoint,
    change: Partial<WebhookEndpoint>,
    consent: ConsentColumns,
  ): void {
    if (change.url !== undefined || change.enabled) this.consent.requestConsent(tx, endpoint.id, consent);
  }

  /** The columns that the input makes different, URL and headers in clear. */
  private changeOf(
    endpoint: WebhookEndpoint,
    input: Omit<UpdateEndpointDto, 'crossCheck'>,
    now: Date,
  ): Partial<WebhookEndpoint> {
    const wanted: Partial<WebhookEndpoint> = {
      url: input.url,
      description: input.description,
      eventTypes: input.event_types && distinct(input.event_types),
      headers: input.headers,
      rateLimit: input.rate_limit,
      ordering: input.ordering,
      signature: input.signature,
      enabled: input.enabled,
    };
    const change = Object.fromEntries(
      Object.entries(wanted).filter(
        ([name, value]) => value !== undefined && !isSame(value, endpoint[name as keyof WebhookEndpoint]),
      ),
    ) as Partial<WebhookEndpoint>;
    if (change.enabled === false) change.disabledReason = DISABLED_BY_A_PERSON;
    if (change.enabled) change.disabledReason = null;
    // Failures of another address, or from before a repair, predict nothing.
    if (change.enabled || change.url !== undefined) change.failingSince = null;
    if (change.signature) {
      const next = this.secrets.create(endpoint, change.signature);
      const overlapEnds = new Date(now.getTime() + DEFAULT_OVERLAP_MS);
      Object.assign(change, this.secrets.rotated(endpoint, next, overlapEnds));
    }
    return change;
  }
}

/** The endpoint, locked against other changes. @throws NotFound */
export async function lockEndpoint(tx: TenantTransaction, id: string): Promise<WebhookEndpoint> {
  const endpoint = await tx
    .repository(WebhookEndpoint)
    .findOne({ where: { tenantId: tx.tenantId, id }, lock: { mode: 'pessimistic_write' } });
  if (!endpoint) throw new NotFound('Endpoint', id);
  return endpoint;
}

async function represent(tx: TenantTransaction, id: string): Promise<Representation> {
  return representationOf(id, await tx.query<queries.ShownEndpoint>(queries.findEndpointJson(tx.tenantId, id)));
}

function representationOf(id: string, [row]: queries.ShownEndpoint[]): Representation {
  if (!row) throw new NotFound('Endpoint', id);
  return new Representation(row.json, row.version);
}

function distinct(entries: readonly string[]): string[] {
  return [...new Set(entries)];
}

/** Whether two values of columns are the same; keys in any order. */
function isSame(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || !a || !b) return a === b;
  if (Array.isArray(a)) return JSON.stringify(a) === JSON.stringify(b);
  const sorted = (value: object) => JSON.stringify(Object.entries(value).sort(([x], [y]) => (x < y ? -1 : 1)));
  return sorted(a) === sorted(b);
}
