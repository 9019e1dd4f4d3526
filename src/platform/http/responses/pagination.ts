import { createHash, createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { Config, required } from '../../config/config';
import { AppError } from '../../errors';
import { type JsonPage, type JsonRow, toPage } from './results';
import type { TenantScope } from '../../database/tenant-database';

/** The scope of a cursor: one tenant, one list, one set of filters. */
export interface CursorScope {
  tenant: TenantScope;
  /** The list's name, with the parent's id if it has one. */
  list: string;
  /** The filters of the request; `limit` is not one. */
  filters: Readonly<Record<string, unknown>>;
}

/** The part of a list that a request asks for. */
export interface PageRequest {
  limit: number;
  cursor?: string;
}

const ID_BYTES = 16;
const MAC_BYTES = 16;
const CURSOR = /^[A-Za-z0-9_-]{43}$/;

/**
 * Makes and verifies cursors. A cursor is the last row's id (UUIDv7, and so the sort key) with a MAC over the id and
 * its scope. A cursor that is altered, or used for another tenant, list or filter, does not verify.
 */
@Injectable()
export class Cursors {
  private readonly key: Buffer;

  constructor(config: Config) {
    this.key = Buffer.from(hkdfSync('sha256', required(config, 'JWT_SECRET'), '', 'cursor', 32));
  }

  /**
   * The page after the cursor of a request. @param read gets at most this many rows behind an id: one more than the
   * page holds, to see whether there is a next
   * @throws AppError `invalid_cursor`
   */
  async page(
    scope: CursorScope,
    { limit, cursor }: PageRequest,
    read: (afterId: string | undefined, count: number) => Promise<readonly JsonRow[]>,
  ): Promise<JsonPage> {
    const rows = await read(this.decode(scope, cursor), limit + 1);
    return toPage(rows, limit, (lastId) => this.encode(scope, lastId));
  }

  /** The cursor that continues after the row with this id. */
  encode(scope: CursorScope, lastId: string): string {
    const id = Buffer.from(lastId.replaceAll('-', ''), 'hex');
    return Buffer.concat([id, this.mac(scope, id)]).toString('base64url');
  }

  /** The id that a cursor continues after, or undefined for the first page. @throws AppError `invalid_cursor` */
  decode(scope: CursorScope, cursor: string | undefined): string | undefined {
    if (cursor === undefined) return undefined;
    if (!CURSOR.test(cursor)) throw invalidCursor();
    const bytes = Buffer.from(cursor, 'base64url');
    const id = bytes.subarray(0, ID_BYTES);
    // 43 characters hold two bits more than 32 bytes: only the canonical spelling of a cursor is accepted.
    const genuine = timingSafeEqual(bytes.subarray(ID_BYTES), this.mac(scope, id));
    if (!genuine || bytes.toString('base64url') !== cursor) throw invalidCursor();
    const hex = id.toString('hex');
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  }

  private mac(scope: CursorScope, id: Buffer): Buffer {
    const filters = Object.entries(scope.filters)
      .filter(([, value]) => value !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1));
    const text = JSON.stringify([scope.tenant.tenantId, scope.list, filters]);
    return createHmac('sha256', this.key).update(id).update(text).digest().subarray(0, MAC_BYTES);
  }
}

function invalidCursor(): AppError {
  return new AppError(
    'invalid_cursor',
    'The cursor is not one that this list gave out for these filters; start again without it.',
  );
}

/** The `Link` header (RFC 8288) to the next page of the request at `url`. */
export function nextLink(url: string, cursor: string): string {
  const query = url.indexOf('?');
  const path = query === -1 ? url : url.slice(0, query);
  const parameters = new URLSearchParams(query === -1 ? '' : url.slice(query + 1));
  parameters.set('cursor', cursor);
  return `<${path}?${parameters.toString()}>; rel="next"`;
}

/** A digest of a request's meaning, for telling the same request from another. */
export function digest(...parts: string[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${part.length}:`).update(part);
  return hash.digest();
}
