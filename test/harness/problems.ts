import type { ApiResponse } from './client';

/** The contract's slugs and their status, repeated here: a test must not read them from the code. */
export const STATUS_OF_PROBLEM = {
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
export type ProblemSlug = keyof typeof STATUS_OF_PROBLEM;

export interface FieldFault {
  field: string;
  message: string;
  code: string;
}

/** A problem document, as far as every one is alike. */
export interface ProblemDocument {
  type: string;
  title: string;
  status: number;
  detail: string;
  instance: string;
  request_id: string;
  errors?: FieldFault[];
}

/** Checks the rules of the contract for every problem, and returns the document. */
export function expectProblem(response: ApiResponse, slug: ProblemSlug): ProblemDocument {
  const problem = response.body as ProblemDocument;
  const seen = { status: response.status, type: problem?.type, text: response.text.slice(0, 300) };
  expect(seen).toMatchObject({ status: STATUS_OF_PROBLEM[slug], type: slug });
  expect(response.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
  expect(problem.status).toBe(STATUS_OF_PROBLEM[slug]);
  expect(problem.title).toBe(
    slug.replace(/(^|_)([a-z])/g, (_, gap: string, c: string) => (gap ? ' ' : '') + c.toUpperCase()),
  );
  expect(typeof problem.detail === 'string' && problem.detail.length > 0).toBe(true);
  expect(problem.instance).toMatch(/^\//);
  expect(problem.instance).not.toContain('?');
  expect(problem.request_id).toBe(response.headers.get('x-request-id'));
  expect(Object.keys(problem).sort()).toEqual(
    ['detail', 'instance', 'request_id', 'status', 'title', 'type', ...(problem.errors ? ['errors'] : [])].sort(),
  );
  for (const fault of problem.errors ?? []) {
    expect(Object.keys(fault).sort()).toEqual(['code', 'field', 'message']);
    expect(fault.code).toMatch(/^[a-z][a-z0-9_]*$/);
    expect(fault.message).not.toBe('');
  }
  return problem;
}

/** The faults of a 422 as `field: code`, sorted. */
export function faultsOf(response: ApiResponse): string[] {
  return (expectProblem(response, 'validation_error').errors ?? [])
    .map(({ field, code }) => `${field}: ${code}`)
    .sort();
}
