/**
 * Results of controllers and services besides plain objects. A result describes the outcome of a request;
 * `send-result.ts` gives it status and headers, so that services and controllers contain neither.
 */
import type { Readable } from 'node:stream';
import type { Row } from '../../database/sql/statement';

/** A value that the server sends in a form of its own; anything else is sent as JSON. */
export abstract class Result {
  /** Excludes plain objects with the same members: the server would send them as they are. */
  declare protected readonly isResult: true;
}

/** A resource as complete JSON, with its version; without a version its bytes determine the tag. */
export class Representation extends Result {
  constructor(
    readonly json: string,
    readonly version?: number,
  ) {
    super();
  }
}

/** Complete JSON that is not a single resource. */
export class Json extends Result {
  constructor(readonly json: string) {
    super();
  }
}

/** A page of a list as complete JSON, with the cursor of the next page, if there is one. */
export class JsonPage extends Result {
  constructor(
    readonly json: string,
    readonly nextCursor: string | null,
  ) {
    super();
  }
}

/** The members of an {@link Outcome} besides its JSON. */
export interface OutcomeDetails {
  /** The new resource's id, or its name, below the collection that the request was sent to. */
  id?: string;
  /** The version of the resource that the JSON shows. */
  version?: number;
  /** The JSON holds a secret: it is stored encrypted. */
  secret?: boolean;
}

/** The outcome of a write, which an idempotent request stores: its JSON is sent and replayed byte for byte. */
export class Outcome extends Result {
  constructor(
    readonly json: string,
    readonly details: OutcomeDetails = {},
  ) {
    super();
  }
}

/** A response as it was stored, sent again. */
export class StoredResponse extends Result {
  constructor(
    readonly status: number,
    /** `location`, without the path of `PUBLIC_URL`, and `etag`. */
    readonly headers: Readonly<Record<string, string>>,
    readonly json: string,
  ) {
    super();
  }
}

/** The result of a request that may carry an `Idempotency-Key`. */
export type WriteResult = Outcome | StoredResponse;

/** A value with another status than its route's own. */
export class WithStatus extends Result {
  constructor(
    readonly status: number,
    readonly value: unknown,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super();
  }
}

/** A file that is sent as a stream while it is made. */
export class Download extends Result {
  /**
   * @param open makes the stream, and is not called for HEAD; an error that it throws is an ordinary refusal
   */
  constructor(
    readonly name: string,
    readonly type: string,
    readonly open: () => Readable,
  ) {
    super();
  }
}

/** A row of a list: its id, and its JSON. */
export interface JsonRow extends Row {
  id: string;
  json: string;
}

/** Bytes of rows on one page; a row that is larger is a page of its own. */
export const PAGE_BYTES = 1024 * 1024;
/** Bytes of UTF-8 that one unit of a JavaScript string takes at most. */
const MAX_BYTES_A_UNIT = 3;

/**
 * The page of these rows: request one row more than it holds, to find out whether there is a next page. It ends early
 * if its rows would be larger than {@link PAGE_BYTES}.
 */
export function toPage(rows: readonly JsonRow[], limit: number, encode: (lastId: string) => string): JsonPage {
  const fitting = Math.min(limit, rowsWithinBytes(rows));
  const hasMore = rows.length > fitting;
  const shown = hasMore ? rows.slice(0, fitting) : rows;
  const last = shown[shown.length - 1];
  const nextCursor = hasMore && last ? encode(last.id) : null;
  const data = shown.map((row) => row.json).join(',');
  const json = `{"data":[${data}],"next_cursor":${JSON.stringify(nextCursor)},"has_more":${hasMore}}`;
  return new JsonPage(json, nextCursor);
}

/** The number of rows that fit on one page, at least one. */
function rowsWithinBytes(rows: readonly JsonRow[]): number {
  let units = 0;
  for (const { json } of rows) units += json.length;
  if (units * MAX_BYTES_A_UNIT <= PAGE_BYTES) return rows.length;
  let bytes = 0;
  const over = rows.findIndex(({ json }) => (bytes += Buffer.byteLength(json)) > PAGE_BYTES);
  return over === -1 ? rows.length : Math.max(1, over);
}
