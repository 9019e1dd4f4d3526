/** Headers of requests and responses, each a component of the document. */
import { API_PREFIX } from '../api-prefix';
import type { Header, Parameter, Reference } from './declarations';
import { EXAMPLE_ID, type Sample } from './product';

/** Response headers. A `required` one is on every response that names it. */
const HEADERS = {
  'X-Request-Id': {
    description:
      "The request's id, for logs and support: the caller's own `X-Request-Id` where it sent a sane one (1 to 128 of " +
      '`A-Za-z0-9._-`), else made by the service.',
    required: true,
    schema: { type: 'string', pattern: '^[A-Za-z0-9._-]{1,128}$', minLength: 1, maxLength: 128 },
    example: '5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11',
  },
  RateLimit: {
    description:
      'What is left of the limit (IETF draft-ietf-httpapi-ratelimit-headers-10): `r` requests now, and `t` seconds ' +
      'until the whole allowance is back.',
    schema: { type: 'string', pattern: '^"[a-z]+";r=\\d+;t=\\d+$', maxLength: 100 },
    example: '"tenant";r=999;t=1',
  },
  'RateLimit-Policy': {
    description: 'The limit that holds here: `q` requests at once, refilled over a window of `w` seconds.',
    schema: { type: 'string', pattern: '^"[a-z]+";q=\\d+;w=\\d+$', maxLength: 100 },
    example: '"tenant";q=1000;w=5',
  },
  ETag: {
    description:
      "The resource's version as a strong entity tag: for `If-None-Match` when reading again, `If-Match` when changing.",
    required: true,
    schema: { type: 'string', pattern: '^"[\\w-]+"$', maxLength: 40 },
    example: '"1"',
  },
  Location: {
    description: 'Where the new resource is.',
    required: true,
    schema: { type: 'string', format: 'uri-reference', maxLength: 300 },
  },
  Link: {
    description: 'The next page, as `rel="next"` (RFC 8288); not on the last page.',
    schema: { type: 'string', pattern: '^<[^>]+>; rel="next"$', maxLength: 4096 },
  },
  'Idempotency-Replayed': {
    description: 'Present where this is the stored answer of an earlier request with the same `Idempotency-Key`.',
    schema: { type: 'string', enum: ['true'] },
    example: 'true',
  },
  'Retry-After': {
    description: 'Seconds to wait before trying again; with 429, 503 and `idempotency_in_progress`.',
    schema: { type: 'integer', minimum: 1 },
    example: 1,
  },
  'WWW-Authenticate': {
    description: 'How to authenticate (RFC 6750); `error="invalid_token"` where the credential sent does not count.',
    required: true,
    schema: { type: 'string', pattern: '^Bearer( error="invalid_token")?$', maxLength: 100 },
    example: 'Bearer',
  },
  Allow: {
    description: 'With 405: the methods that are possible at this path.',
    schema: { type: 'string', pattern: '^[A-Z]+(, [A-Z]+)*$', maxLength: 100 },
    example: 'GET, HEAD, POST',
  },
  'Cache-Control': {
    description: 'What a tenant is shown is for its caller alone: no cache may keep it.',
    required: true,
    schema: { type: 'string', enum: ['no-store'] },
    example: 'no-store',
  },
  'Content-Range': {
    description: 'Which part of the file this is; with 416, how long the file is (RFC 9110, 14.4).',
    required: true,
    schema: { type: 'string', pattern: '^bytes (\\d+-\\d+|\\*)/\\d+$', maxLength: 100 },
    example: 'bytes 0-99/1024',
  },
  Accept: {
    description: 'With 415: the media types that are taken.',
    schema: { type: 'string', maxLength: 200 },
    example: 'application/json',
  },
  'Accept-Patch': {
    description: 'With 415 of a PATCH: the media types that are taken (RFC 5789).',
    schema: { type: 'string', maxLength: 200 },
    example: 'application/json, application/merge-patch+json',
  },
  'Content-Disposition': {
    description: 'Says to save the answer as a file, and its name.',
    required: true,
    schema: { type: 'string', pattern: '^attachment; filename="[^"]+"$', maxLength: 200 },
  },
} as const satisfies Record<string, Header>;

export type HeaderName = keyof typeof HEADERS;

/** The components of response headers; those with an address or a file name show the sample resource. */
export function headerComponents({ collection }: Sample): Record<HeaderName, Header> {
  const path = `${API_PREFIX}/${collection}`;
  const cursor = 'AZjA3noRcACAAAAAAAAAAXV4c0RRd2lXa1pXb3BBQUE';
  return {
    ...HEADERS,
    Location: { ...HEADERS.Location, example: `${path}/${EXAMPLE_ID}` },
    Link: { ...HEADERS.Link, example: `<${path}?limit=20&cursor=${cursor}>; rel="next"` },
    'Content-Disposition': {
      ...HEADERS['Content-Disposition'],
      example: `attachment; filename="${collection}.ndjson"`,
    },
  };
}

/** A list of entity tags (RFC 9110, 8.8.3), or `*`. */
const TAGS = '^(\\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*)$';

/** Headers of requests. */
export const PARAMETERS = {
  IdempotencyKey: {
    name: 'Idempotency-Key',
    in: 'header',
    required: false,
    description:
      'A key of your own, such as a UUID, that makes the request safe to repeat: for 24 hours the same key with the ' +
      'same body gets the first answer again. Kept per tenant and caller; a refused request leaves its key free.',
    schema: { type: 'string', minLength: 1, maxLength: 255, pattern: '^[\\x20-\\x7e]+$' },
  },
  IfMatch: {
    name: 'If-Match',
    in: 'header',
    required: false,
    description: 'The `ETag` that the change is based on; if the resource has another version by now, 412.',
    schema: { type: 'string', minLength: 1, maxLength: 1024, pattern: TAGS },
  },
  IfNoneMatch: {
    name: 'If-None-Match',
    in: 'header',
    required: false,
    description: 'The `ETag` of what you have; if the resource is still that, 304 without a body.',
    schema: { type: 'string', minLength: 1, maxLength: 1024, pattern: TAGS },
  },
} as const satisfies Record<string, Parameter>;

/** References to headers, by their names. */
export function headerReferences(names: readonly HeaderName[]): Record<string, Reference> {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}

/** A reference to a header of requests. */
export function parameterReference(name: keyof typeof PARAMETERS): Reference {
  return { $ref: `#/components/parameters/${name}` };
}
