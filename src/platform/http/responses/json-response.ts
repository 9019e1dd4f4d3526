/** Answers whose JSON is ready made, by PostgreSQL or a service: sent as they are. */
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

/** A row of a list: its id, and the JSON of its answer. */
export interface JsonRow extends Row {
  id: string;
  json: string;
}

/** A page's JSON with the cursor of the next, if there is one. */
export interface JsonPage {
  json: string;
  nextCursor: string | null;
}

/** The page of these rows: ask for one row more than it holds, to see whether there is a next. */
export function toPage(rows: readonly JsonRow[], limit: number, encode: (lastId: string) => string): JsonPage {
  const hasMore = rows.length > limit;
  const shown = hasMore ? rows.slice(0, limit) : rows;
  const last = shown[shown.length - 1];
  const nextCursor = hasMore && last ? encode(last.id) : null;
  const data = shown.map((row) => row.json).join(',');
  return { json: `{"data":[${data}],"next_cursor":${JSON.stringify(nextCursor)},"has_more":${hasMore}}`, nextCursor };
}

/** Answers with a resource; with 304 where `If-None-Match` names what it still is. */
export function sendResource(reply: FastifyReply, resource: Representation, ifNoneMatch?: string): void {
  void reply.header('etag', resource.etag);
  if (isNotModified(ifNoneMatch, resource.etag)) void reply.status(304).send();
  else void reply.header('content-type', JSON_TYPE).send(resource.json);
}

/** Answers with JSON that is no resource of its own. */
export function sendJson(reply: FastifyReply, json: string, status = 200): void {
  void reply.status(status).header('content-type', JSON_TYPE).send(json);
}

/** Answers with a page, and says where the next is. */
export function sendPage(request: FastifyRequest, reply: FastifyReply, page: JsonPage): void {
  if (page.nextCursor !== null) addLink(reply, nextLink(request.url, page.nextCursor));
  void reply.header('content-type', JSON_TYPE).send(page.json);
}

/** Beside the link that an answer may have already, of a deprecated route. */
function addLink(reply: FastifyReply, link: string): void {
  const earlier = reply.getHeader('link');
  void reply.header('link', earlier === undefined ? link : `${String(earlier)}, ${link}`);
}
