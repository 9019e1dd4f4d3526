/** The faults in the head of a request, independent of its route. */
import type { FastifyRequest } from 'fastify';
import { AppError, MalformedRequest } from '../../errors';
import { API_PREFIX } from '../api-prefix';
import { namesProblems, preferredType } from '../requests/accept';
import { countOf } from '../requests/request-headers';

const JSON_ONLY: readonly string[] = ['application/json'];
/** A name, IPv4 address or bracketed IPv6 address, with an optional port (RFC 3986, 3.2.2). */
const HOST = /^(?:\[[0-9A-Fa-f:.]+\]|(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})+)(?::\d{0,5})?$/;

/** Values of `Accept` that are remembered, and how long one may be: clients have few, and send them each time. */
const MAX_REMEMBERED = 100;
const MAX_REMEMBERED_LENGTH = 200;
const remembered = new Map<string, boolean>();

/** The fault of the head that refuses the request, or undefined. */
export function headFault(request: FastifyRequest): AppError | undefined {
  const { raw, headers } = request;
  if (raw.httpVersionMajor !== 1) {
    return new AppError('http_version_not_supported', `HTTP/${raw.httpVersion} is not supported; use HTTP/1.1.`);
  }
  const encoding = headers['transfer-encoding'];
  if (encoding !== undefined && encoding.trim().toLowerCase() !== 'chunked') {
    return new AppError('not_implemented', 'The only transfer coding that is supported is chunked.');
  }
  return hostFault(request) ?? notAcceptable(request);
}

function hostFault({ raw, headers }: FastifyRequest): AppError | undefined {
  const { host } = headers;
  if (host === undefined) {
    return raw.httpVersion === '1.1' ? new MalformedRequest('The Host header is missing.') : undefined;
  }
  if (countOf(raw.rawHeaders, 'host') > 1) return new MalformedRequest('The Host header appears more than once.');
  return HOST.test(host) ? undefined : new MalformedRequest('The Host header is not a valid host.');
}

function notAcceptable({ is404, url, headers, routeOptions }: FastifyRequest): AppError | undefined {
  const { accept } = headers;
  if (is404 || !url.startsWith(API_PREFIX) || accept === undefined || accept === '*/*' || accept === 'application/json')
    return undefined;
  const produces = routeOptions.config?.produces ?? JSON_ONLY;
  if (produces === JSON_ONLY ? takesJson(accept) : takesOneOf(accept, produces)) return undefined;
  return new AppError('not_acceptable', `This route answers with ${produces.join(' or ')}; see Accept.`);
}

function takesJson(accept: string): boolean {
  let takes = remembered.get(accept);
  if (takes === undefined) {
    takes = takesOneOf(accept, JSON_ONLY);
    if (remembered.size < MAX_REMEMBERED && accept.length <= MAX_REMEMBERED_LENGTH) remembered.set(accept, takes);
  }
  return takes;
}

/** A route whose success has no body has nothing to refuse. */
function takesOneOf(accept: string, produces: readonly string[]): boolean {
  return produces.length === 0 || preferredType(accept, produces) !== undefined || namesProblems(accept);
}
