import { Injectable } from '@nestjs/common';
import { AuditLog } from '../platform/audit/audit-log';
import { SECRET_CHANGE } from '../platform/audit/audit-entry';
import { Config } from '../platform/config/config';
import { TenantDatabase, type TenantTransaction } from '../platform/database/tenant-database';
import { AppError, type FieldFault, Unauthorized, ValidationFailed } from '../platform/errors';
import type { Caller } from '../platform/http/requests/caller';
import { assertMayGrant } from '../platform/http/requests/grants';
import type { PageDto } from '../platform/http/requests/page.dto';
import { Idempotency, type IdempotentRequest } from '../platform/http/responses/idempotency';
import type { Precondition } from '../platform/http/responses/conditional-requests';
import {
  type JsonPage,
  Outcome,
  type OutcomeDetails,
  Representation,
  type WriteResult,
} from '../platform/http/responses/results';
import { Cursors } from '../platform/http/responses/pagination';
import { Mailer } from '../platform/mail/mailer';
import { newTimedId } from '../platform/ids/ids';
import { Outbox } from '../platform/outbox/outbox';
import { Epochs } from '../platform/revocation/epochs';
import { ApiKey } from './api-key.entity';
import {
  type CreateApiKeyDto,
  DEFAULT_OVERLAP_SECONDS,
  type RotateApiKeyDto,
  type UpdateApiKeyDto,
} from './api-keys.requests';
import * as queries from './api-keys.queries';
import { viewOf } from './api-keys.views';
import { assertManager, assertVisible, isManager, lockKey, lockToChange } from './key-access';
import { newKey } from './key-format';
import { assertRotatable, rotatedMeanwhile } from './key-rotation';

const MAX_KEYS = 1_000;
const DAY_MS = 24 * 60 * 60 * 1000;

/** The rules of API keys. */
@Injectable()
export class ApiKeysService {
  constructor(
    private readonly config: Config,
    private readonly database: TenantDatabase,
    private readonly idempotency: Idempotency,
    private readonly cursors: Cursors,
    private readonly outbox: Outbox,
    private readonly audit: AuditLog,
    private readonly epochs: Epochs,
    private readonly mailer: Mailer,
  ) {}

  /**
   * Makes a key; its text is in the response, this once.
   * @throws Forbidden for a scope that the caller lacks, or a tenant's key without `api_keys:manage`; ValidationFailed;
   * AppError `business_rule_violation` for one too many
   */
  create(caller: Caller, input: CreateApiKeyDto, request?: IdempotentRequest): Promise<WriteResult> {
    if (input.kind === 'tenant') assertManager(caller);
    assertMayGrant(caller, input.scopes);
    return this.idempotency.transaction(caller, request, async (tx) => {
      const [[policy], [counted], [maker]] = await Promise.all([
        tx.query<{ api_key_max_days: number | null }>(queries.findKeyPolicy(tx.tenantId)),
        tx.query<{ count: number }>(queries.countKeys(tx.tenantId)),
        tx.query(queries.lockActiveMember(tx.tenantId, caller.actor.id)),
      ]);
      // A session counts for up to two seconds after its membership has ended; a key would outlive them.
      if (!maker) throw new Unauthorized('The session has ended.', { invalidToken: true });
      if ((counted?.count ?? 0) >= MAX_KEYS) {
        throw new AppError('business_rule_violation', `A tenant has at most ${MAX_KEYS} API keys; expired ones count.`);
      }
      const { id, at } = newTimedId();
      this.assertValid(input, policy?.api_key_max_days ?? null, at);
      const { text, hash, hint } = newKey(tx.tenantId);
      const row: queries.KeyRow = {
        tenantId: tx.tenantId,
        id,
        kind: input.kind,
        userId: input.kind === 'personal' ? caller.actor.id : null,
        name: input.name,
        scopes: input.scopes,
        hint,
        createdBy: caller.actor.id,
        allowedCidrs: input.allowed_cidrs ?? [],
        rateLimit: input.rate_limit ?? null,
        version: 1,
        createdAt: at,
        updatedAt: at,
        expiresAt: input.expires_at ?? null,
        lastUsedAt: null,
      };
      await tx.repository(ApiKey).insert(row);
      tx.defer(queries.insertSecret(tx.tenantId, id, hash, at));
      const { name, kind, scopes } = row;
      this.record(tx, caller, 'api_key.created', id, {
        name: [null, name],
        kind: [null, kind],
        scopes: [null, scopes],
        expires_at: [null, row.expiresAt],
      });
      this.publish(tx, 'api_key.created', row);
      this.mailer.notify(tx, {
        audience: row.userId === null ? { permission: 'api_keys:manage' } : { userId: row.userId },
        template: 'api_key_created',
        data: {
          keyName: name,
          kind,
          at: at.toISOString(),
          network: caller.origin?.network,
          userAgent: caller.origin?.userAgent,
        },
      });
      return withText(row, text, { id });
    });
  }

  /** A page of keys: to managers all, to others their own. @throws AppError `invalid_cursor` */
  list(caller: Caller, page: PageDto): Promise<JsonPage> {
    const scope = { tenant: caller, list: `api-keys/${caller.actor.id}`, filters: {} };
    const ofUser = isManager(caller) ? null : caller.actor.id;
    return this.cursors.page(scope, page, async (afterId, count) => {
      const statement = queries.listKeys(caller.tenantId, ofUser, afterId, count);
      const rows = await this.database.query<queries.KeyRow>(caller, statement);
      return rows.map((row) => ({ id: row.id, json: JSON.stringify(viewOf(row)) }));
    });
  }

  /** @throws NotFound, also for another person's key unless the caller manages keys */
  async find(caller: Caller, id: string): Promise<Representation> {
    const [row] = await this.database.query<queries.KeyRow>(caller, queries.findKey(caller.tenantId, id));
    return representationOf(assertVisible(caller, id, row));
  }

  /**
   * Changes a key; where nothing changes, the version stays. Reaches every process within two seconds.
   * @throws NotFound; VersionConflict; Forbidden for another person's key or a scope that the caller lacks;
   * ValidationFailed
   */
  update(caller: Caller, id: string, input: UpdateApiKeyDto, ifMatch?: Precondition): Promise<Representation> {
    return this.database.transaction(caller, async (tx) => {
      const [policy] = await tx.query<{ api_key_max_days: number | null }>(queries.findKeyPolicy(tx.tenantId));
      const before = await lockToChange(tx, caller, id, ifMatch);
      assertMayGrant(caller, input.scopes ?? []);
      const now = new Date();
      const changesEnd = input.expires_at !== undefined;
      this.assertValid(input, changesEnd ? (policy?.api_key_max_days ?? null) : null, now);
      const after: queries.KeyRow = {
        ...before,
        name: input.name ?? before.name,
        scopes: input.scopes ?? before.scopes,
        expiresAt: changesEnd ? (input.expires_at ?? null) : before.expiresAt,
        allowedCidrs: input.allowed_cidrs ?? before.allowedCidrs,
        rateLimit: input.rate_limit === undefined ? before.rateLimit : input.rate_limit,
      };
      const changes = changesBetween(before, after);
      if (Object.keys(changes).length === 0) return representationOf(before);
      after.version++;
      await tx.repository(ApiKey).update(
        { tenantId: tx.tenantId, id },
        {
          name: after.name,
          scopes: after.scopes,
          expiresAt: after.expiresAt,
          allowedCidrs: after.allowedCidrs,
          rateLimit: after.rateLimit,
          version: after.version,
          updatedAt: now,
        },
      );
      // Another end needs another notice.
      if (changesEnd) tx.defer(queries.clearNotified(tx.tenantId, id));
      this.epochs.raiseMember(tx, id);
      this.record(tx, caller, 'api_key.changed', id, changes);
      return representationOf(after);
    });
  }

  /** Ends a key permanently. @throws NotFound; VersionConflict; Forbidden */
  async remove(caller: Caller, id: string, ifMatch?: Precondition): Promise<void> {
    await this.database.transaction(caller, async (tx) => {
      const row = assertVisible(caller, id, await lockKey(tx, id));
      ifMatch?.assertVersion(row.version);
      await tx.repository(ApiKey).delete({ tenantId: tx.tenantId, id });
      tx.defer(queries.deleteKeyEpoch(tx.tenantId, id));
      this.epochs.raiseTenant(tx);
      this.record(tx, caller, 'api_key.revoked', id, { name: [row.name, null], scopes: [row.scopes, null] });
      this.publish(tx, 'api_key.revoked', row);
    });
  }

  /**
   * Gives a key a new text; the earlier ones stay valid for the overlap. One of several concurrent rotations succeeds:
   * a rotation that arrived before the end of the last change of the key is refused.
   * @param arrivedAt the arrival of the request
   * @throws NotFound; Conflict for the others; Forbidden; AppError `business_rule_violation` for too many texts at once
   */
  async rotate(
    caller: Caller,
    id: string,
    input: RotateApiKeyDto,
    arrivedAt: Date,
    request?: IdempotentRequest,
  ): Promise<WriteResult> {
    const [seen] = await this.database.query<queries.KeyRow>(caller, queries.findKey(caller.tenantId, id));
    return this.idempotency.transaction(caller, request, async (tx) => {
      const before = await lockToChange(tx, caller, id);
      if (before.version !== seen?.version) throw rotatedMeanwhile();
      const now = new Date();
      const overlap = (input.overlap_seconds ?? DEFAULT_OVERLAP_SECONDS) * 1000;
      await assertRotatable(tx, before, overlap, arrivedAt, now);
      const { text, hash, hint } = newKey(tx.tenantId);
      const after = { ...before, hint, version: before.version + 1 };
      await tx
        .repository(ApiKey)
        .update({ tenantId: tx.tenantId, id }, { hint, version: after.version, updatedAt: now });
      await tx.query(queries.endSecrets(tx.tenantId, id, new Date(now.getTime() + overlap)));
      tx.defer(queries.insertSecret(tx.tenantId, id, hash, now));
      this.epochs.raiseMember(tx, id);
      this.record(tx, caller, 'api_key.rotated', id, { key: SECRET_CHANGE });
      return withText(after, text);
    });
  }

  private assertValid(input: CreateApiKeyDto | UpdateApiKeyDto, maxDays: number | null, now: Date): void {
    const faults: FieldFault[] = [];
    const end = input.expires_at ?? null;
    if (end && end <= now) faults.push({ field: 'expires_at', message: 'must be in the future', code: 'future' });
    if (maxDays !== null && (!end || end.getTime() > now.getTime() + maxDays * DAY_MS)) {
      const message = `must be within ${maxDays} days: the tenant demands it`;
      faults.push({ field: 'expires_at', message, code: 'max_days' });
    }
    if (input.allowed_cidrs && input.allowed_cidrs.length > 0 && this.config.TRUST_PROXY === 'true') {
      const message = 'needs a TRUST_PROXY that names the proxies: callers may write their address';
      faults.push({ field: 'allowed_cidrs', message, code: 'trust_proxy' });
    }
    if (faults.length > 0) throw new ValidationFailed(faults);
  }

  private record(
    tx: TenantTransaction,
    caller: Caller,
    action: string,
    id: string,
    changes: Record<string, readonly [unknown, unknown]>,
  ): void {
    this.audit.record(tx, caller, { action, target: { type: 'api_key', id }, changes });
  }

  private publish(tx: TenantTransaction, type: string, row: queries.KeyRow): void {
    this.outbox.publish(tx, [{ type, data: JSON.stringify(viewOf(row)), aggregateId: row.id }]);
  }
}

/** The fields that the audit log shows a change of, by their columns. */
const AUDITED = {
  name: 'name',
  scopes: 'scopes',
  expires_at: 'expiresAt',
  allowed_cidrs: 'allowedCidrs',
  rate_limit: 'rateLimit',
} as const satisfies Record<string, keyof queries.KeyRow>;

function changesBetween(before: queries.KeyRow, after: queries.KeyRow): Record<string, readonly [unknown, unknown]> {
  return Object.fromEntries(
    Object.entries(AUDITED)
      .filter(([, column]) => JSON.stringify(before[column]) !== JSON.stringify(after[column]))
      .map(([field, column]) => [field, [before[column], after[column]] as const]),
  );
}

function withText(row: queries.KeyRow, text: string, details: OutcomeDetails = {}): Outcome {
  const json = JSON.stringify({ ...viewOf(row), key: text });
  return new Outcome(json, { ...details, version: row.version, secret: true });
}

function representationOf(row: queries.KeyRow): Representation {
  return new Representation(JSON.stringify(viewOf(row)), row.version);
}
