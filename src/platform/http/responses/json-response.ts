/** Responses whose JSON is complete, from PostgreSQL or a service: sent unchanged. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Row } from '../../database/sql/statement';
import { isNotModified } from './etag';
import { nextLink } from './pagination';

const JSON_TYPE = 'application/json; charset=utf-8';

/** A resource's JSON with its entity tag. */
export interface Representation {
  json: string;
  etag: string;
}

/** A row of a list: its id, and its JSON. */
export interface JsonRow extends Row {
  id: string;
  json: string;
}

/** A page's JSON with the cursor of the next page, if there is one. */
export interface JsonPage {
  json: string;
  nextCursor: string | null;
}

/** Bytes of rows on one page; a row that is larger is a page of its own. */
export const PAGE_BYTES = 1024 * 1024;
/** Bytes of UTF-8 that one unit of a JavaScript string takes at most. */
const MAX_BYTES_A_UNIT = 3;

/**
 * The page of these rows: ask for one row more than it holds, to see whether there is a next. It ends early where its
 * rows would be larger than {@link PAGE_BYTES}.
 */
export function toPage(rows: readonly JsonRow[], limit: number, encode: (lastId: string) => string): JsonPage {
  const fitting = Math.min(limit, fittingRows(rows));
  const hasMore = rows.length > fitting;
  const shown = hasMore ? rows.slice(0, fitting) : rows;
  const last = shown[shown.length - 1];
  const nextCursor = hasMore && last ? encode(last.id) : null;
  const data = shown.map((row) => row.json).join(',');
  return { json: `{"data":[${data}],"next_cursor":${JSON.stringify(nextCursor)},"has_more":${hasMore}}`, nextCursor };
}

/** The number of rows that fit on one page, at least one. */
function fittingRows(rows: readonly JsonRow[]): number {
  let units = 0;
  for (const { json } of rows) units += json.length;
  if (units * MAX_BYTES_A_UNIT <= PAGE_BYTES) return rows.length;
  let bytes = 0;
  const over = rows.findIndex(({ json }) => (bytes += Buffer.byteLength(json)) > PAGE_BYTES);
  return over === -1 ? rows.length : Math.max(1, over);
}

/** Sends a resource; 304 where `If-None-Match` names its current tag. */
export function sendResource(reply: FastifyReply, resource: Representation, ifNoneMatch?: string): void {
  void reply.header('etag', resource.etag);
  if (isNotModified(ifNoneMatch, resource.etag)) void reply.status(304).send();
  else void reply.header('content-type', JSON_TYPE).send(resource.json);
}

/** Sends JSON that is not a single resource. */
export function sendJson(reply: FastifyReply, json: string, status = 200): void {
  void reply.status(status).header('content-type', JSON_TYPE).send(json);
}

/** Sends a page with a link to the next one. */
export function sendPage(request: FastifyRequest, reply: FastifyReply, page: JsonPage): void {
  if (page.nextCursor !== null) addLink(reply, nextLink(reply.server.publicPath + request.url, page.nextCursor));
  void reply.header('content-type', JSON_TYPE).send(page.json);
}

/** Keeps the existing link of a deprecated route. */
function addLink(reply: FastifyReply, link: string): void {
  const earlier = reply.getHeader('link');
  void reply.header('link', earlier === undefined ? link : `${String(earlier)}, ${link}`);
}
