/**
 * One error type for everything that a caller may learn, with two texts: `message` for the caller and `internal` for
 * the log. Services throw these; only `platform/http/responses/problem.filter.ts` turns them into
 * `application/problem+json` (RFC 9457).
 */

/** Problem slugs of the HTTP contract and the status each one has. */
export const PROBLEM_STATUS = {
  malformed_request: 400,
  invalid_cursor: 400,
  unauthorized: 401,
  second_factor_required: 401,
  insufficient_user_authentication: 401,
  forbidden: 403,
  sso_link_required: 403,
  second_factor_enrolment_required: 403,
  registration_closed: 403,
  not_found: 404,
  method_not_allowed: 405,
  not_acceptable: 406,
  request_timeout: 408,
  conflict: 409,
  idempotency_in_progress: 409,
  version_conflict: 412,
  payload_too_large: 413,
  unsupported_media_type: 415,
  range_not_satisfiable: 416,
  validation_error: 422,
  token_invalid: 422,
  business_rule_violation: 422,
  idempotency_key_reused: 422,
  rate_limited: 429,
  headers_too_large: 431,
  internal_error: 500,
  not_implemented: 501,
  unavailable: 503,
  http_version_not_supported: 505,
} as const;

/** A problem's slug, the `type` of its document. */
export type ProblemCode = keyof typeof PROBLEM_STATUS;

/** Statuses above 500 for which the request is to blame: any client can cause them, and no operator can help. */
const REQUEST_FAULTS: ReadonlySet<number> = new Set([501, 505]);

/** Whether a response with this status is a failure of the service. */
export function isServerFault(status: number): boolean {
  return status >= 500 && !REQUEST_FAULTS.has(status);
}

/** One fault in the input: a dotted path (`items.0.quantity`), a sentence, a stable code (`min`). */
export interface FieldFault {
  field: string;
  message: string;
  code: string;
}

/** Options of an {@link AppError} in addition to its texts. */
export interface AppErrorOptions {
  /** Kept in the log only. */
  internal?: string;
  cause?: unknown;
  errors?: FieldFault[];
  /** Extra members of the problem document (RFC 9457), such as a challenge. */
  members?: Readonly<Record<string, unknown>>;
  /** Extra response headers (`Retry-After`, `Allow`, `WWW-Authenticate`). */
  headers?: Record<string, string>;
}

/** A refusal or failure with a public text; see the head of the file. */
export class AppError extends Error {
  readonly internal?: string;
  readonly errors?: FieldFault[];
  readonly members?: Readonly<Record<string, unknown>>;
  readonly headers?: Record<string, string>;

  constructor(
    readonly code: ProblemCode,
    readonly publicMessage: string,
    options: AppErrorOptions = {},
  ) {
    super(publicMessage, { cause: options.cause });
    this.name = new.target.name;
    this.internal = options.internal;
    this.errors = options.errors;
    this.members = options.members;
    this.headers = options.headers;
  }

  get status(): number {
    return PROBLEM_STATUS[this.code];
  }
}

/** The request's syntax is wrong (400). */
export class MalformedRequest extends AppError {
  constructor(message: string, options?: AppErrorOptions) {
    super('malformed_request', message, options);
  }
}

/** The input was understood and is refused (422); lists every fault. */
export class ValidationFailed extends AppError {
  constructor(errors: FieldFault[]) {
    super('validation_error', 'The request has invalid fields; see errors.', { errors });
  }
}

/** No credential, or no valid one (401). `reason` stays in the log. */
export class Unauthorized extends AppError {
  constructor(message = 'A valid credential is required.', options: AppErrorOptions & { invalidToken?: boolean } = {}) {
    super('unauthorized', message, {
      ...options,
      headers: { 'WWW-Authenticate': options.invalidToken ? 'Bearer error="invalid_token"' : 'Bearer' },
    });
  }
}

/** Seconds for which a sign-in counts as fresh. */
export const STEP_UP_MAX_AGE = 600;

/** The sign-in is too old, or lacks the second factor (401, RFC 9470). */
export class InsufficientAuthentication extends AppError {
  constructor(options: { secondFactor?: boolean } = {}) {
    const acr = options.secondFactor ? ', acr_values="aal2"' : '';
    super('insufficient_user_authentication', 'Confirm the sign-in with POST /auth/step-up, then try again.', {
      headers: {
        'WWW-Authenticate': `Bearer error="insufficient_user_authentication", max_age=${STEP_UP_MAX_AGE}${acr}`,
      },
    });
  }
}

/** A one-time token that is unknown, used or expired: one response for all three (422). */
export class TokenInvalid extends AppError {
  constructor(internal?: string) {
    super('token_invalid', 'The token is not valid (any more).', { internal });
  }
}

/** The caller is known and lacks the permission (403). */
export class Forbidden extends AppError {
  constructor(message: string) {
    super('forbidden', message);
  }
}

/** The resource does not exist, or belongs to another tenant: the response is the same (404). */
export class NotFound extends AppError {
  constructor(resource: string, id: string) {
    super('not_found', `${resource} '${id.slice(0, 64)}' not found`);
  }
}

/** The state of the service contradicts the request (409). */
export class Conflict extends AppError {
  constructor(message: string) {
    super('conflict', message);
  }
}

/** `If-Match` names another version than the resource has (412). */
export class VersionConflict extends AppError {
  constructor() {
    super('version_conflict', 'The resource has changed since the version named in If-Match.');
  }
}

/** Too many requests (429); `retryAfterSeconds` is rounded up to whole seconds. */
export class RateLimited extends AppError {
  constructor(message: string, retryAfterSeconds: number, headers: Record<string, string> = {}) {
    super('rate_limited', message, {
      headers: { ...headers, 'Retry-After': String(Math.max(1, Math.ceil(retryAfterSeconds))) },
    });
  }
}

/** The client has disconnected: no further work is done for it, and the response reaches nothing. */
export class ClientGone extends AppError {
  constructor() {
    super('unavailable', 'The client has disconnected.');
  }
}

/** A dependency is not available now; the caller may retry (503). */
export class Unavailable extends AppError {
  constructor(internal: string, options: AppErrorOptions = {}) {
    super('unavailable', 'The service is temporarily unavailable; try again.', {
      ...options,
      internal,
      headers: { 'Retry-After': '1' },
    });
  }
}
