/** From the bytes of a request's body to a value, or to the refusal with the reason. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { IncomingMessage } from 'node:http';
import { assertConnected } from '../../net/client-connection';
import { AppError, MalformedRequest, ValidationFailed } from '../../errors';
import { InvalidText, MalformedJson, parseJsonBody } from '../requests/json-body';
import { JSON_TYPE, MERGE_PATCH_TYPE } from '../requests/media-types';

/** Puts the parsers of bodies on the server. */
export function addBodyParsers(server: FastifyInstance): void {
  server.removeAllContentTypeParsers();
  server.addContentTypeParser([JSON_TYPE, MERGE_PATCH_TYPE], { parseAs: 'buffer' }, (request, body, done) => {
    try {
      done(null, readBody(request, body as Buffer));
    } catch (error) {
      done(error as Error);
    }
  });
  server.addContentTypeParser('*', refuseBytes);
}

/** Without bytes the media type means nothing: `curl -X POST -d ''` sends that of a form. */
export function forgetTypeOfNothing({ headers }: FastifyRequest): void {
  if (headers['content-length'] === '0') delete headers['content-type'];
}

/** A body without bytes has no wrong type, even if its length is known only at its end. */
function refuseBytes(
  request: FastifyRequest,
  payload: IncomingMessage,
  done: (error: Error | null, body?: undefined) => void,
): void {
  const length = request.headers['content-length'];
  if (length !== undefined && Number(length) > 0) return done(unsupported());
  const settle = (error: Error | null): void => {
    payload.removeListener('data', onData).removeListener('end', onEnd).removeListener('error', onEnd);
    done(error);
  };
  const onData = (): void => settle(unsupported());
  const onEnd = (error?: Error): void => settle(error ?? null);
  payload.on('data', onData).on('end', onEnd).on('error', onEnd);
}

function readBody(request: FastifyRequest, body: Buffer): unknown {
  if (body.length === 0) return undefined;
  assertConnected(request.raw.socket);
  const type = request.headers['content-type'] ?? '';
  if (request.method !== 'PATCH' && type.trim().toLowerCase().startsWith(MERGE_PATCH_TYPE)) throw unsupported();
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding.trim().toLowerCase() !== 'identity') {
    throw new AppError('unsupported_media_type', 'A compressed request body is not taken; send it as it is.', {
      headers: { 'Accept-Encoding': 'identity' },
    });
  }
  const charsets = [...type.matchAll(/;\s*charset\s*=\s*"?([^\s";]*)/gi)].map(([, charset = '']) => charset);
  if (charsets.length > 1 || charsets.some((charset) => !/^utf-?8$/i.test(charset))) {
    throw new AppError('unsupported_media_type', 'A JSON request body is UTF-8; no other charset is taken.');
  }
  try {
    return parseJsonBody(body, request.routeOptions.config.maxMembers);
  } catch (error) {
    if (error instanceof MalformedJson) throw new MalformedRequest(`${error.message}.`);
    if (error instanceof InvalidText) throw new ValidationFailed(error.faults);
    throw error;
  }
}

function unsupported(): AppError {
  return new AppError('unsupported_media_type', 'The request body must be application/json.');
}
