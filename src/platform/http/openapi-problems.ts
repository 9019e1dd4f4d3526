/** The problems of the document: their schema, and for each refusal a response with an example, as components. */
import { PROBLEM_STATUS, type ProblemCode } from '../errors';
import type { Components, DeclaredProblem, Reference, Response, Schema } from './openapi-declarations';
import { type HeaderName, headerReferences } from './openapi-headers';
import { problemTitle } from './problem';

const MEDIA_TYPE = 'application/problem+json';
const EXAMPLE_INSTANCE = '/api/v1/orders';
const EXAMPLE_REQUEST_ID = '5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11';
const LIMITED = ['RateLimit', 'RateLimit-Policy'] as const;

/** What a caller should know of a refusal, an example of its detail, and the headers that come with it. */
interface Explained {
  meaning: string;
  detail: string;
  headers: readonly HeaderName[];
}

/** All refusals of the service; the guide and the responses are both made from this. */
export const PROBLEMS: Readonly<Record<ProblemCode, Explained>> = {
  malformed_request: {
    meaning: 'The request could not be read: its JSON, its address or its headers are broken, or the body is missing.',
    detail: 'The body is not valid JSON.',
    headers: [],
  },
  invalid_cursor: {
    meaning: 'The cursor is not one that this list gave out to this tenant for these filters: start again without it.',
    detail: 'The cursor is not one that this list gave out for these filters; start again without it.',
    headers: LIMITED,
  },
  unauthorized: {
    meaning: 'There is no credential, or it does not count (any more).',
    detail: 'A valid credential is required.',
    headers: ['WWW-Authenticate', ...LIMITED],
  },
  forbidden: {
    meaning: 'The credential is good, but may not do this.',
    detail: 'The role viewer may not do this: it lacks orders:write.',
    headers: LIMITED,
  },
  not_found: {
    meaning: "There is no such thing, or it is another tenant's, which is the same answer.",
    detail: 'There is nothing at this address.',
    headers: LIMITED,
  },
  method_not_allowed: {
    meaning: 'The path is right, but not with this method; `Allow` has those that are possible.',
    detail: 'PUT is not possible here.',
    headers: ['Allow'],
  },
  not_acceptable: {
    meaning: 'The `Accept` header takes nothing that this route answers with.',
    detail: 'This route answers with JSON; see Accept.',
    headers: [],
  },
  conflict: {
    meaning: 'The request contradicts what is there.',
    detail: 'This contradicts what is there.',
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
    headers: [],
  },
  unsupported_media_type: {
    meaning: 'The request body is not `application/json`, or is compressed.',
    detail: 'The request body must be application/json.',
    headers: [],
  },
  validation_error: {
    meaning: 'Fields of the request are unknown or break a rule; `errors` has every fault at once.',
    detail: 'The request has invalid fields; see errors.',
    headers: LIMITED,
  },
  business_rule_violation: {
    meaning: 'The request is well-formed, but a rule of the business forbids it now.',
    detail: 'This is not possible now.',
    headers: LIMITED,
  },
  idempotency_key_reused: {
    meaning: 'This `Idempotency-Key` was used for another request: use a new key for a new request.',
    detail: 'This Idempotency-Key was used for another request; use a new key for a new request.',
    headers: LIMITED,
  },
  rate_limited: {
    meaning: 'Too many requests: wait as long as `Retry-After` says.',
    detail: 'Too many requests; slow down.',
    headers: ['Retry-After', ...LIMITED],
  },
  internal_error: {
    meaning: 'Something went wrong on our side; tell us the request id.',
    detail: 'Something went wrong on our side.',
    headers: LIMITED,
  },
  unavailable: {
    meaning: 'Something that the service needs is away for a moment: try again.',
    detail: 'The service is temporarily unavailable; try again.',
    headers: ['Retry-After', ...LIMITED],
  },
};

const CODES = Object.keys(PROBLEM_STATUS) as ProblemCode[];

const REQUIRED = ['type', 'title', 'status', 'detail', 'instance', 'request_id'];
const PROPERTIES: Record<string, Schema> = {
  type: { type: 'string', enum: CODES, description: 'The kind of problem: what a program looks at.' },
  title: { type: 'string', maxLength: 100, description: 'The type in words.' },
  status: { type: 'integer', minimum: 400, maximum: 599, description: 'The status of the answer.' },
  detail: { type: 'string', maxLength: 1000, description: 'What is wrong with this request, for a person.' },
  instance: { type: 'string', format: 'uri-reference', description: 'The path of the request.' },
  request_id: { type: 'string', maxLength: 128, description: 'As in `X-Request-Id`: for logs and support.' },
};

/** The schemas that every problem refers to. */
export const PROBLEM_SCHEMAS: Record<string, Schema> = {
  Problem: {
    type: 'object',
    description: 'Why a request was refused, or failed (RFC 9457).',
    required: REQUIRED,
    properties: PROPERTIES,
  },
  ValidationProblem: {
    type: 'object',
    description: 'Why a request was understood, but refused: a problem with every fault of its fields.',
    required: REQUIRED,
    properties: {
      ...PROPERTIES,
      errors: {
        type: 'array',
        minItems: 1,
        maxItems: 100,
        description: 'With `validation_error`: every fault.',
        items: { $ref: '#/components/schemas/FieldFault' },
      },
    },
  },
  FieldFault: {
    type: 'object',
    description: 'One fault in the input.',
    required: ['field', 'message', 'code'],
    properties: {
      field: { type: 'string', maxLength: 400, description: 'Where, as a dotted path.', example: 'items.0.quantity' },
      message: { type: 'string', maxLength: 500, description: 'What is wrong, for a person.' },
      code: { type: 'string', maxLength: 50, description: 'The rule that is broken: what a program looks at.' },
    },
  },
};

/** The responses of an operation for these refusals: one of each status, by reference where nothing in it is special. */
export function problemResponses(
  codes: readonly ProblemCode[],
  declared: readonly DeclaredProblem[],
  resource: string | undefined,
  components: Components,
): Record<string, Response | Reference> {
  const all = [...new Set([...codes, ...declared.map((problem) => problem.code)])].sort(
    (a, b) => PROBLEM_STATUS[a] - PROBLEM_STATUS[b] || CODES.indexOf(a) - CODES.indexOf(b),
  );
  const responses: Record<string, Response | Reference> = {};
  for (const status of new Set(all.map((code) => PROBLEM_STATUS[code]))) {
    const here = all.filter((code) => PROBLEM_STATUS[code] === status);
    const special = declared.filter((problem) => here.includes(problem.code));
    if (special.length === 0) responses[status] = shared(here, resource, components);
    else responses[status] = response(here, here.map((code) => exampleOf(code, special, components)).flat());
  }
  return responses;
}

/** Any other problem, as `default` of an operation, with the methods that its path has. */
export function otherProblems(path: string, methods: readonly string[]): Response {
  const value = { ...problem('method_not_allowed', PROBLEMS.method_not_allowed.detail), instance: path };
  const other = response(['method_not_allowed'], [['method_not_allowed', { summary: 'Another method', value }]]);
  return {
    ...other,
    description: `Any other problem: 405 for methods that are not possible here (${methods.join(', ')} are), and kinds that are added later.`,
  };
}

type NamedExample = [name: string, example: { summary: string; value: unknown } | Reference];

function shared(codes: ProblemCode[], resource: string | undefined, components: Components): Reference {
  const names = codes.map((code) => (code === 'not_found' && resource ? `${resource}NotFound` : pascal(code)));
  const name = names.join('Or');
  components.responses ??= {};
  if (!components.responses[name]) {
    const missing: DeclaredProblem[] = resource
      ? [{ code: 'not_found', detail: `${resource} '0198c0de-7a11-7000-8000-000000000001' not found` }]
      : [];
    components.responses[name] = response(codes, codes.map((code) => exampleOf(code, missing, components)).flat());
  }
  return { $ref: `#/components/responses/${name}` };
}

function response(codes: readonly ProblemCode[], examples: NamedExample[]): Response {
  const schema = codes.includes('validation_error') ? 'ValidationProblem' : 'Problem';
  const headers = new Set<HeaderName>(['X-Request-Id', ...codes.flatMap((code) => PROBLEMS[code].headers)]);
  return {
    description: codes.map((code) => `\`${code}\`: ${PROBLEMS[code].meaning}`).join('\n\n'),
    headers: headerReferences([...headers]),
    content: {
      [MEDIA_TYPE]: { schema: { $ref: `#/components/schemas/${schema}` }, examples: Object.fromEntries(examples) },
    },
  };
}

function exampleOf(code: ProblemCode, declared: readonly DeclaredProblem[], components: Components): NamedExample[] {
  const special = declared.filter((problem) => problem.code === code);
  if (special.length > 0) {
    return special.map(({ detail }, index) => [
      index === 0 ? code : `${code}_${index + 1}`,
      { summary: problemTitle(code), value: problem(code, detail) },
    ]);
  }
  components.examples ??= {};
  components.examples[pascal(code)] ??= {
    summary: problemTitle(code),
    value: problem(code, PROBLEMS[code].detail),
  };
  return [[code, { $ref: `#/components/examples/${pascal(code)}` }]];
}

function problem(code: ProblemCode, detail: string): object {
  return {
    type: code,
    title: problemTitle(code),
    status: PROBLEM_STATUS[code],
    detail,
    instance: EXAMPLE_INSTANCE,
    request_id: EXAMPLE_REQUEST_ID,
    ...(code === 'validation_error'
      ? { errors: [{ field: 'items.0.quantity', message: 'must be at least 1', code: 'min' }] }
      : {}),
  };
}

function pascal(code: ProblemCode): string {
  return problemTitle(code).replaceAll(' ', '');
}
