import { createParamDecorator, type ExecutionContext, Inject, Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { isUniqueViolation, sqlState } from '../../database/sql/errors';
import type { Statement } from '../../database/sql/statement';
import { TenantDatabase, type TenantTransaction } from '../../database/tenant-database';
import { AppError, MalformedRequest, ValidationFailed } from '../../errors';
import { SECRET_BOX, type SecretBox } from '../../crypto/secret-box.module';
import type { Caller } from '../requests/caller';
import { canonicalJson } from '../requests/canonical-json';
import { countOf } from '../requests/request-headers';
import { understoodBody } from '../requests/validation.pipe';
import { digest } from './pagination';
import { type Outcome, StoredResponse, type WriteResult } from './results';
import { headersOf } from './send-result';

const LIFETIME_MS = 24 * 60 * 60 * 1000;
const KEY = /^[\x20-\x7e]{1,255}$/;

/** An idempotent request: its key and the hash of its meaning. */
export interface IdempotentRequest {
  key: string;
  /** SHA-256 of method, path and body as it was understood: another request under the same key is refused. */
  readonly hash: Buffer;
  /** The target of the request, and the status of its route's success: parts of the stored response. */
  readonly url: string;
  readonly status: number;
}

/** The request's `Idempotency-Key`, checked, or undefined. */
export const Idempotent = createParamDecorator(
  (_: unknown, context: ExecutionContext): IdempotentRequest | undefined => {
    const http = context.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    const key = request.headers['idempotency-key'];
    if (key === undefined) return undefined;
    if (typeof key !== 'string' || !KEY.test(key)) {
      throw new ValidationFailed([
        { field: 'Idempotency-Key', message: 'must be 1 to 255 printable ASCII characters', code: 'idempotency_key' },
      ]);
    }
    if (countOf(request.raw.rawHeaders, 'idempotency-key') > 1) {
      throw new MalformedRequest('The Idempotency-Key header appears more than once.');
    }
    return new KeyedRequest(key, request, http.getResponse<FastifyReply>().statusCode);
  },
);

/** The hash is computed on demand: the body is read by then. */
class KeyedRequest implements IdempotentRequest {
  private made?: Buffer;

  constructor(
    readonly key: string,
    private readonly request: FastifyRequest,
    readonly status: number,
  ) {}

  get url(): string {
    return this.request.url;
  }

  get hash(): Buffer {
    const { method, url, routeOptions, params, body } = this.request;
    return (this.made ??= digest(
      method,
      routeOptions.url ?? url,
      canonicalJson(params).toLowerCase(),
      canonicalJson(understoodBody(body) ?? {}),
    ));
  }
}

interface StoredRow extends Record<string, unknown> {
  request_hash: Buffer;
  status: number;
  headers: Record<string, string>;
  body: string;
}

/**
 * Runs a request once per key. The response is stored in the transaction of the work, so that neither exists without
 * the other. Keys are per tenant and caller. A second request does not wait: while the first one runs it gets 409, by a
 * lock that lives as long as the first transaction.
 */
@Injectable()
export class Idempotency {
  constructor(
    private readonly database: TenantDatabase,
    @Inject(SECRET_BOX) private readonly box: SecretBox,
  ) {}

  /**
   * Runs `work` in a transaction of the caller's tenant; with a key, at most once.
   * @throws AppError `idempotency_in_progress`, `idempotency_key_reused`; an error of `work` leaves the key free
   */
  transaction(
    caller: Caller,
    request: IdempotentRequest | undefined,
    work: (tx: TenantTransaction) => Promise<Outcome>,
  ): Promise<WriteResult> {
    if (!request) return this.database.transaction(caller, work);
    const once = this.database.transaction(caller, async (tx) => {
      const replay = await this.claim(tx, caller, request);
      if (replay) return replay;
      const outcome = await work(tx);
      this.keep(tx, caller, request, outcome);
      return outcome;
    });
    return once.catch((error: unknown) => {
      throw sqlState(error) === OUT_OF_RANGE ? keyInProgress() : error;
    });
  }

  /**
   * The same for work that reads nothing and only defers writes: one round trip. `work` may be called twice, and only
   * the second result is kept.
   * @throws as {@link transaction}
   */
  async write(
    caller: Caller,
    request: IdempotentRequest | undefined,
    work: (tx: TenantTransaction) => Outcome,
  ): Promise<WriteResult> {
    if (request) {
      try {
        return await this.database.transaction(caller, async (tx) => {
          tx.defer(lockOrFail(caller, request));
          const outcome = work(tx);
          tx.insert(this.record('idempotency_insert', '', caller, request, outcome));
          return outcome;
        });
      } catch (error) {
        // The key is locked, or was used: the longer way finds out which.
        if (sqlState(error) !== DIVISION_BY_ZERO && !isUniqueViolation(error, 'idempotency_keys_pkey')) throw error;
      }
    }
    return this.transaction(caller, request, async (tx) => work(tx));
  }

  private async claim(
    tx: TenantTransaction,
    caller: Caller,
    request: IdempotentRequest,
  ): Promise<StoredResponse | undefined> {
    const who = nameOf(caller);
    // Two statements in one round trip: the second one takes its snapshot after the lock, so it sees the commit of the
    // lock's last holder.
    const [[lock], [stored]] = await Promise.all([
      tx.query<{ locked: boolean }>({
        name: 'idempotency_lock',
        text: `select pg_try_advisory_xact_lock(hashtextextended($1, 7)) as locked`,
        values: [contextOf(caller, request)],
      }),
      tx.query<StoredRow>({
        name: 'idempotency_find',
        text: `select request_hash, status, headers, body from idempotency_keys
                where tenant_id = $1 and caller = $2 and key = $3 and expires_at > $4`,
        values: [caller.tenantId, who, request.key, new Date()],
      }),
    ]);
    if (!lock?.locked) throw keyInProgress();
    if (!stored) return undefined;
    if (!stored.request_hash.equals(request.hash)) {
      throw new AppError(
        'idempotency_key_reused',
        'This Idempotency-Key was used for another request; use a new key for a new request.',
      );
    }
    // An unencrypted body is JSON, which begins with another character.
    const body = stored.body.startsWith('{') ? stored.body : this.box.decrypt(stored.body, contextOf(caller, request));
    return new StoredResponse(stored.status, stored.headers, body);
  }

  private keep(tx: TenantTransaction, caller: Caller, request: IdempotentRequest, outcome: Outcome): void {
    // A row that is there has expired, since the lock is held. Where several servers of Citus each hold such a lock,
    // another request may have written it, and this one fails as a whole: the sum is out of range then.
    const overwrite = `on conflict (tenant_id, caller, key) do update set
         request_hash = excluded.request_hash, status = excluded.status, headers = excluded.headers,
         body = excluded.body, created_at = excluded.created_at, expires_at = excluded.expires_at
       where 2147483647 + (idempotency_keys.expires_at > excluded.created_at)::int > 0`;
    tx.insert(this.record('idempotency_upsert', overwrite, caller, request, outcome));
  }

  private record(
    name: string,
    onConflict: string,
    caller: Caller,
    request: IdempotentRequest,
    { json, details }: Outcome,
  ): Statement {
    const now = new Date();
    return {
      name,
      text: `insert into idempotency_keys
               (tenant_id, caller, key, request_hash, status, headers, body, created_at, expires_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9) ${onConflict}`,
      values: [
        caller.tenantId,
        nameOf(caller),
        request.key,
        request.hash,
        request.status,
        JSON.stringify(headersOf(details, request.url)),
        details.secret ? this.box.encrypt(json, contextOf(caller, request)) : json,
        now,
        new Date(now.getTime() + LIFETIME_MS),
      ],
    };
  }
}

const DIVISION_BY_ZERO = '22012';
const OUT_OF_RANGE = '22003';

function keyInProgress(): AppError {
  return new AppError('idempotency_in_progress', 'The first request with this Idempotency-Key is still running.', {
    headers: { 'Retry-After': '1' },
  });
}

/** Takes the key's lock; where another transaction holds it, this statement fails and all statements behind it. */
function lockOrFail(caller: Caller, request: IdempotentRequest): Statement {
  return {
    name: 'idempotency_lock_or_fail',
    text: `select 1 / pg_try_advisory_xact_lock(hashtextextended($1, 7))::int`,
    values: [contextOf(caller, request)],
  };
}

/** The key with its caller. */
function contextOf(caller: Caller, request: IdempotentRequest): string {
  return storedResponseContext(caller.tenantId, nameOf(caller), request.key);
}

/** The encryption context of a stored response, by the columns of its row. */
export function storedResponseContext(tenantId: string, caller: string, key: string): string {
  return JSON.stringify([tenantId, caller, key]);
}

function nameOf(caller: Caller): string {
  return `${caller.actor.type}:${caller.actor.id}`;
}
