/** Sends the results of controllers: the only place where a success gets its `ETag`, `Link`, `Location` and 304. */
import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { pathOf } from '../requests/request-target';
import { etagOf, etagOfContent, isNotModified } from './etag';
import { nextLink } from './pagination';
import {
  Download,
  Json,
  JsonPage,
  Outcome,
  type OutcomeDetails,
  StoredResponse,
  Representation,
  type Result,
  WithStatus,
} from './results';

const JSON_TYPE = 'application/json; charset=utf-8';

/** Sends a result with the status that the route has set. @throws MalformedRequest for a bad `If-None-Match` */
export function sendResult(reply: FastifyReply, result: Result): FastifyReply {
  if (result instanceof Representation) return sendRepresentation(reply, result);
  if (result instanceof JsonPage) return sendPage(reply, result);
  if (result instanceof Outcome) return sendOutcome(reply, result);
  if (result instanceof StoredResponse) return sendStored(reply, result);
  if (result instanceof WithStatus) return sendWithStatus(reply, result);
  if (result instanceof Download) return sendDownload(reply, result);
  if (result instanceof Json) return sendJson(reply, result.json);
  throw new Error(`there is no way to send a ${result.constructor.name}`);
}

/** The headers of an outcome as they are stored; `location` is the path that the service itself serves. */
export function headersOf({ id, version }: OutcomeDetails, url: string): Record<string, string> {
  return {
    ...(id === undefined ? undefined : { location: locationOf(url, id) }),
    ...(version === undefined ? undefined : { etag: etagOf(version) }),
  };
}

function sendRepresentation(reply: FastifyReply, { json, version }: Representation): FastifyReply {
  const etag = version === undefined ? etagOfContent(json) : etagOf(version);
  void reply.header('etag', etag);
  const ifNoneMatch = reply.request.raw.headers['if-none-match'];
  const isConditional = ifNoneMatch !== undefined && reply.request.routeOptions.config.conditional === true;
  if (isConditional && isNotModified(ifNoneMatch, etag)) return reply.status(304).send();
  return sendJson(reply, json);
}

function sendPage(reply: FastifyReply, { json, nextCursor }: JsonPage): FastifyReply {
  if (nextCursor !== null) addLink(reply, nextLink(reply.server.publicPath + reply.request.url, nextCursor));
  return sendJson(reply, json);
}

function sendOutcome(reply: FastifyReply, { json, details }: Outcome): FastifyReply {
  const { id, version } = details;
  if (id !== undefined) void reply.header('location', reply.server.publicPath + locationOf(reply.request.url, id));
  if (version !== undefined) void reply.header('etag', etagOf(version));
  return sendJson(reply, json);
}

function sendStored(reply: FastifyReply, { status, headers, json }: StoredResponse): FastifyReply {
  for (const [name, value] of Object.entries(headers)) {
    void reply.header(name, name === 'location' ? reply.server.publicPath + value : value);
  }
  void reply.status(status).header('Idempotency-Replayed', 'true');
  return sendJson(reply, json);
}

function sendWithStatus(reply: FastifyReply, { status, headers, value }: WithStatus): FastifyReply {
  void reply.status(status).headers(headers);
  if (value instanceof Representation) return sendRepresentation(reply, value);
  return sendJson(reply, JSON.stringify(value));
}

function sendDownload(reply: FastifyReply, { name, type, open }: Download): FastifyReply {
  return (
    reply
      .header('content-type', type)
      .header('content-disposition', `attachment; filename="${name}"`)
      // Fastify would read the whole stream to respond to a HEAD.
      .send(reply.request.method === 'HEAD' ? Readable.from([]) : open())
  );
}

function sendJson(reply: FastifyReply, json: string): FastifyReply {
  return reply.header('content-type', JSON_TYPE).send(json);
}

/** The path of a member of the collection that the request was sent to. */
function locationOf(url: string, id: string): string {
  const path = pathOf(url);
  return `${path.endsWith('/') ? path.slice(0, -1) : path}/${id}`;
}

/** Keeps the existing link of a deprecated route. */
function addLink(reply: FastifyReply, link: string): void {
  const earlier = reply.getHeader('link');
  void reply.header('link', earlier === undefined ? link : `${String(earlier)}, ${link}`);
}
