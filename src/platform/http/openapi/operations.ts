/** Completes the description of one operation from its route's metadata. */
import type { ProblemCode } from '../../errors';
import { describeDeprecation } from './deprecation';
import type { Components, Operation, Parameter, Reference, Response, Schema } from './declarations';
import { addExamples, resolve } from './examples';
import { type HeaderName, headerReferences, parameterReference } from './headers';
import type { ProblemResponses } from './problem-responses';
import type { Route } from './routes';
import { JSON_TYPE, MERGE_PATCH_TYPE } from '../requests/media-types';
import { API_PREFIX } from '../api-prefix';

const MIB = 1024 * 1024;

/**
 * The operation with its security, parameters, examples, headers and every problem. `methods` are all methods of the
 * path.
 */
export function describe(
  operation: Operation,
  route: Route,
  path: string,
  methods: readonly string[],
  components: Components,
  problemResponses: ProblemResponses,
): Operation {
  const underApi = path.startsWith(`${API_PREFIX}/`);
  const parameters = parametersOf(operation, route);
  const { requestBody } = operation;
  if (requestBody && 'content' in requestBody) {
    requestBody.description ??= `JSON of at most ${sizeOf(route.bodyLimit ?? MIB)}.`;
    addExamples(requestBody.content, components);
    const json = requestBody.content[JSON_TYPE];
    if (route.patches && json) requestBody.content[MERGE_PATCH_TYPE] = structuredClone(json);
  }
  const success = successOf(operation, route, underApi, components);
  const problems = problemResponses.of(problemsOf(operation, route, underApi), {
    path,
    methods,
    section: route.section?.name ?? '',
    resource: route.resource,
    declared: route.problems,
  });
  return {
    tags: operation.tags,
    summary: operation.summary,
    description: description(operation, route),
    operationId: operation.operationId,
    ...(route.deprecation ? { deprecated: true } : {}),
    security: securityOf(route),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(requestBody ? { requestBody } : {}),
    // A status that the route describes itself is kept: readiness has its own form of 503.
    responses: { ...problems, ...success },
  };
}

function description(operation: Operation, route: Route): string {
  const permission =
    route.permission && route.permission !== 'signed-in' ? `Requires the permission \`${route.permission}\`.` : '';
  const person = route.person ? 'Serves the person of a session, in any tenant or none.' : '';
  const stepUp = route.stepUp ? 'Requires a fresh sign-in, see `POST /auth/step-up`.' : '';
  return [operation.description, permission, person, stepUp].filter(Boolean).join('\n\n');
}

function parametersOf(operation: Operation, route: Route): (Parameter | Reference)[] {
  const own = ((operation.parameters ?? []) as Parameter[]).filter((parameter) => parameter.in !== 'header');
  for (const parameter of own) {
    const schema = (parameter.schema ?? {}) as Schema;
    if (parameter.in === 'path' && route.resource) {
      parameter.description ??= `The ${route.resource.toLowerCase()}'s id.`;
      parameter.schema = { type: 'string', format: 'uuid' };
    } else if (schema.example !== undefined) {
      // Swagger UI fills in a parameter's `example`; an optional parameter should stay empty.
      const { example, ...rest } = schema;
      parameter.schema = parameter.required ? rest : { ...rest, examples: [example] };
      if (parameter.required) parameter.example = example;
    }
  }
  return [
    ...own,
    ...(route.idempotent ? [parameterReference('IdempotencyKey')] : []),
    ...(route.ifMatch ? [parameterReference('IfMatch')] : []),
    ...(route.ifNoneMatch ? [parameterReference('IfNoneMatch')] : []),
  ];
}

/** The refusals of a session, where a route takes one or none. */
const OF_A_SESSION = [
  'unauthorized',
  'insufficient_user_authentication',
  'forbidden',
  'second_factor_enrolment_required',
] as const;

/** The refusals of a route. */
function problemsOf(operation: Operation, route: Route, underApi: boolean): ProblemCode[] {
  const parameters = (operation.parameters ?? []) as Parameter[];
  const hasQuery = parameters.some((parameter) => parameter.in === 'query');
  const isList = parameters.some((parameter) => parameter.in === 'query' && parameter.name === 'cursor');
  const counted = route.public !== 'unlimited';
  const when = (condition: boolean, ...codes: ProblemCode[]): ProblemCode[] => (condition ? codes : []);
  return [
    'malformed_request',
    'internal_error',
    ...when(isList, 'invalid_cursor'),
    ...when(!route.public, 'unauthorized'),
    ...when(route.stepUp, 'insufficient_user_authentication'),
    ...when(route.optionalCredential === true, ...OF_A_SESSION),
    ...when(route.person || (route.permission !== undefined && route.permission !== 'signed-in'), 'forbidden'),
    ...when(
      parameters.some((parameter) => parameter.in === 'path'),
      'not_found',
    ),
    ...when(underApi, 'not_acceptable'),
    ...when(route.ifMatch, 'version_conflict'),
    // A body is read wherever there may be one, even if no route expects it.
    ...when(!route.reads, 'payload_too_large', 'unsupported_media_type'),
    ...when(!route.reads || hasQuery, 'validation_error'),
    ...when(route.idempotent, 'idempotency_in_progress', 'idempotency_key_reused'),
    ...when(counted, 'rate_limited', 'unavailable'),
  ];
}

/** The responses that the route describes itself, with their headers and examples. */
function successOf(
  operation: Operation,
  route: Route,
  underApi: boolean,
  components: Components,
): Record<string, Response> {
  const responses: Record<string, Response> = {};
  const deprecation = route.deprecation && describeDeprecation(route.deprecation);
  for (const [status, given] of Object.entries(operation.responses)) {
    const response = given as Response;
    if (response.content) addExamples(response.content, components);
    responses[status] = {
      ...response,
      headers: { ...headersOf(status, response, route, underApi, components), ...deprecation, ...response.headers },
    };
  }
  if (route.ifNoneMatch) {
    responses['304'] = {
      description: 'The resource is unchanged since `If-None-Match`.',
      headers: headerReferences(['X-Request-Id', 'Cache-Control', 'ETag', ...limitHeaders(route)]),
    };
  }
  return responses;
}

function securityOf({ public: open, optionalCredential }: Route): Record<string, string[]>[] {
  if (!open) return [{ bearer: [] }];
  return optionalCredential ? [{}, { bearer: [] }] : [];
}

function limitHeaders(route: Route): HeaderName[] {
  return route.public === 'unlimited' ? [] : ['RateLimit', 'RateLimit-Policy'];
}

function headersOf(
  status: string,
  response: Response,
  route: Route,
  underApi: boolean,
  components: Components,
): Record<string, Reference> {
  const schema = response.content?.[JSON_TYPE]?.schema;
  const fields = Object.keys((schema && resolve(schema, components).properties) ?? {});
  const names: HeaderName[] = ['X-Request-Id', ...(underApi ? ['Cache-Control' as const] : []), ...limitHeaders(route)];
  if (status.startsWith('2')) {
    if (fields.includes('version') || (response.content && (route.ifMatch || route.ifNoneMatch))) names.push('ETag');
    const isNew = route.idempotent && fields.includes('version');
    if ((status === '201' && fields.includes('id')) || (['201', '202'].includes(status) && isNew))
      names.push('Location');
    if (fields.includes('next_cursor')) names.push('Link');
    if (route.idempotent) names.push('Idempotency-Replayed');
    if (route.produces?.length) names.push('Content-Disposition');
  }
  if (status === '503') names.push('Retry-After');
  return headerReferences(names);
}

/** A limit in the largest unit that divides it. */
function sizeOf(bytes: number): string {
  return bytes % MIB === 0 ? `${bytes / MIB} MiB` : `${bytes / 1024} KiB`;
}
