/** Every kind of problem with its explanation: the guide's table and the responses are made from this list. */
import type { ProblemCode } from '../../errors';
import type { Schema } from './declarations';
import type { HeaderName } from './headers';

const LIMITED = ['RateLimit', 'RateLimit-Policy'] as const;

/** The explanation of a refusal, an example of its detail, and its headers. */
interface Explained {
  meaning: string;
  detail: string;
  headers: readonly HeaderName[];
  /** The additional members of such a problem, with an example of each. */
  members?: Readonly<Record<string, Schema & { example: unknown }>>;
  /** Those of the members that are there in every case. */
  required?: readonly string[];
}

export const PROBLEMS: Readonly<Record<ProblemCode, Explained>> = {
  malformed_request: {
    meaning: 'The request could not be read: its JSON, its address or its headers are invalid, or the body is missing.',
    detail: 'The body is not valid JSON.',
    headers: LIMITED,
  },
  invalid_cursor: {
    meaning: 'The cursor is not from this list, tenant and filters: start again without it.',
    detail: 'The cursor is not one that this list gave out for these filters; start again without it.',
    headers: LIMITED,
  },
  unauthorized: {
    meaning: 'The credential is missing, or not valid (any more).',
    detail: 'A valid credential is required.',
    headers: ['WWW-Authenticate', ...LIMITED],
  },
  second_factor_required: {
    meaning: 'The password is right, and a second factor is due: send it with the challenge.',
    detail: 'A second factor is required.',
    headers: ['WWW-Authenticate', ...LIMITED],
    members: {
      challenge: {
        type: 'string',
        maxLength: 100,
        description: 'With `second_factor_required`: goes to `POST /auth/second-factor`, with the factor.',
        example: 'sfc_0198c0de7a1170008000000000000042_0Yw1bUQn5R2hQ8xM3cVt7kJd9sLf4gHaZpXeBnTiOo8',
      },
      methods: {
        type: 'array',
        minItems: 1,
        maxItems: 10,
        description: 'With `second_factor_required`: the factors that the person has.',
        items: { type: 'string', enum: ['totp', 'passkey'] },
        example: ['totp'],
      },
      expires_in: {
        type: 'integer',
        minimum: 1,
        description: 'With `second_factor_required`: the seconds for which the challenge is valid.',
        example: 300,
      },
      passkey_options: {
        type: 'object',
        additionalProperties: true,
        description: 'With `second_factor_required` where the person has a passkey: the options for the browser.',
        example: {},
      },
    },
    required: ['challenge', 'methods', 'expires_in'],
  },
  insufficient_user_authentication: {
    meaning: 'The sign-in is older than ten minutes, or lacks the second factor: step up, then try again (RFC 9470).',
    detail: 'Confirm the sign-in with POST /auth/step-up, then try again.',
    headers: ['WWW-Authenticate', ...LIMITED],
  },
  forbidden: {
    meaning: 'The credential is valid, but has no permission for this.',
    detail: 'The role viewer may not do this.',
    headers: LIMITED,
  },
  sso_link_required: {
    meaning: 'The person of the provider is not linked to an account yet.',
    detail: 'Link this account of the provider first.',
    headers: LIMITED,
  },
  second_factor_enrolment_required: {
    meaning: 'The tenant demands a second factor, and the person has none: add one first.',
    detail: 'The tenant demands a second factor: add one first.',
    headers: LIMITED,
  },
  registration_closed: {
    meaning: 'This service accepts no registrations: ask for an invitation.',
    detail: 'Registration is closed.',
    headers: LIMITED,
  },
  not_found: {
    meaning: 'The resource does not exist, or belongs to another tenant; both get the same response.',
    detail: 'There is nothing at this address.',
    headers: LIMITED,
  },
  method_not_allowed: {
    meaning: 'The path exists, but not with this method; `Allow` has the possible ones.',
    detail: 'PUT is not possible here.',
    headers: ['Allow', ...LIMITED],
  },
  not_acceptable: {
    meaning: 'The `Accept` header allows no media type of this route.',
    detail: 'This route answers with JSON; see Accept.',
    headers: LIMITED,
  },
  request_timeout: {
    meaning: 'The request took too long to arrive: send it again.',
    detail: 'The request took too long to arrive.',
    headers: LIMITED,
  },
  conflict: {
    meaning: 'The request contradicts the current state.',
    detail: 'This contradicts the current state.',
    headers: LIMITED,
  },
  idempotency_in_progress: {
    meaning: 'The first request with this `Idempotency-Key` is still running: try again.',
    detail: 'The first request with this Idempotency-Key is still running.',
    headers: ['Retry-After', ...LIMITED],
  },
  version_conflict: {
    meaning: 'The resource has changed since the version named in `If-Match`: read it again, then decide.',
    detail: 'The resource has changed since the version named in If-Match.',
    headers: LIMITED,
  },
  payload_too_large: {
    meaning: 'The request body is larger than this route takes.',
    detail: 'The request body is larger than this route takes.',
    headers: LIMITED,
  },
  unsupported_media_type: {
    meaning: 'The request body is not `application/json`, or is compressed.',
    detail: 'The request body must be application/json.',
    headers: ['Accept', 'Accept-Patch', ...LIMITED],
  },
  range_not_satisfiable: {
    meaning: 'The `Range` header is outside of the file.',
    detail: 'The range begins behind the end of the file.',
    headers: ['Content-Range', ...LIMITED],
  },
  validation_error: {
    meaning: 'Fields of the request are unknown or break a rule; `errors` has all faults.',
    detail: 'The request has invalid fields; see errors.',
    headers: LIMITED,
  },
  token_invalid: {
    meaning: 'The one-time token is unknown, used or expired; all get the same response.',
    detail: 'The token is not valid (any more).',
    headers: LIMITED,
  },
  business_rule_violation: {
    meaning: 'The request is well-formed, but a business rule forbids it in the current state.',
    detail: 'This is not possible now.',
    headers: LIMITED,
  },
  idempotency_key_reused: {
    meaning: 'This `Idempotency-Key` was used for another request: use a new key for a new request.',
    detail: 'This Idempotency-Key was used for another request; use a new key for a new request.',
    headers: LIMITED,
  },
  rate_limited: {
    meaning: 'Too many requests: wait as long as `Retry-After` specifies.',
    detail: 'Too many requests; slow down.',
    headers: ['Retry-After', ...LIMITED],
  },
  headers_too_large: {
    meaning: 'The headers of the request, with its address, are larger than 16 KB.',
    detail: 'The headers are larger than 16 KB.',
    headers: [],
  },
  internal_error: {
    meaning: 'The service failed; report the request id.',
    detail: 'Something went wrong on our side.',
    headers: LIMITED,
  },
  not_implemented: {
    meaning: 'The request uses a transfer coding other than chunked.',
    detail: 'The only transfer coding that is supported is chunked.',
    headers: [],
  },
  unavailable: {
    meaning: 'A dependency of the service is temporarily unavailable: try again.',
    detail: 'The service is temporarily unavailable; try again.',
    headers: ['Retry-After', ...LIMITED],
  },
  http_version_not_supported: {
    meaning: 'The request is in a version of HTTP other than 1.0 and 1.1.',
    detail: 'This version of HTTP is not supported; use HTTP/1.1.',
    headers: [],
  },
};
