/**
 * The problems of the document. Each refusal of a route is a response with an example for each kind; a refusal without
 * special content is a shared component. The schema of a response lists its kinds, so that a generated client can tell
 * them apart by the status or by `type`.
 */
import { PROBLEM_STATUS, type ProblemCode } from '../../errors';
import type { Components, DeclaredProblem, Reference, Response, Schema } from './declarations';
import { type HeaderName, headerReferences } from './headers';
import { PROBLEMS } from './problem-kinds';
import { problemTitle } from '../problem';

const MEDIA_TYPE = 'application/problem+json';
const EXAMPLE_ID = '0198c0de-7a11-7000-8000-000000000001';
const EXAMPLE_INSTANCE = '/api/v1/orders';
const EXAMPLE_REQUEST_ID = '5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11';
const CODES = Object.keys(PROBLEM_STATUS) as ProblemCode[];

const FIELD_FAULT: Schema = {
  type: 'object',
  description: 'One fault in the input.',
  required: ['field', 'message', 'code'],
  properties: {
    field: { type: 'string', maxLength: 400, description: 'Where, as a dotted path.', example: 'items.0.quantity' },
    message: { type: 'string', maxLength: 500, description: 'What is wrong, for a person.' },
    code: { type: 'string', maxLength: 50, description: 'The rule that is broken: what a program looks at.' },
  },
};

/** The schema of a problem that is one of these kinds. */
function problemSchema(codes: readonly ProblemCode[]): Schema {
  const onlyFaults = codes.every((code) => code === 'validation_error');
  return {
    type: 'object',
    description: 'Why a request was refused, or failed (RFC 9457).',
    required: [...['type', 'title', 'status', 'detail', 'instance', 'request_id'], ...(onlyFaults ? ['errors'] : [])],
    properties: {
      type: { type: 'string', enum: [...codes], description: 'The kind of problem: what a program looks at.' },
      title: { type: 'string', enum: codes.map(problemTitle), description: 'The type in words.' },
      status: {
        type: 'integer',
        enum: [...new Set(codes.map((code) => PROBLEM_STATUS[code]))],
        description: 'The status of the answer.',
      },
      detail: { type: 'string', maxLength: 1000, description: 'What is wrong with this request, for a person.' },
      instance: { type: 'string', format: 'uri-reference', description: 'The path of the request.' },
      request_id: { type: 'string', maxLength: 128, description: 'As in `X-Request-Id`: for logs and support.' },
      ...(codes.includes('validation_error')
        ? {
            errors: {
              type: 'array',
              minItems: 1,
              maxItems: 100,
              description: 'With `validation_error`: every fault.',
              items: FIELD_FAULT,
            },
          }
        : {}),
    },
  };
}

/** The members that every problem has; `errors` is there with `validation_error` alone. */
export const PROBLEM_SCHEMAS: Record<string, Schema> = { Problem: problemSchema(CODES) };

/** The context of a problem's text: the route, the resource that its id names, and its own texts. */
export interface ProblemContext {
  path: string;
  /** All methods of the path. */
  methods: readonly string[];
  /** The section that the operation stands in: its operations share the responses that only they have. */
  section: string;
  resource?: string;
  declared: readonly DeclaredProblem[];
}

/** The responses of an operation for these refusals, one of each status. */
export function problemResponses(
  codes: readonly ProblemCode[],
  context: ProblemContext,
  components: Components,
): Record<string, Response | Reference> {
  const { section, declared, resource } = context;
  const all = [...new Set([...codes, ...declared.map((problem) => problem.code)])].sort(
    (a, b) => PROBLEM_STATUS[a] - PROBLEM_STATUS[b] || CODES.indexOf(a) - CODES.indexOf(b),
  );
  const responses: Record<string, Reference> = { default: otherProblem(components) };
  for (const status of new Set(all.map((code) => PROBLEM_STATUS[code]))) {
    const here = all.filter((code) => PROBLEM_STATUS[code] === status);
    const special = declared.filter((problem) => here.includes(problem.code));
    responses[status] =
      special.length > 0 ? ofSection(section, here, special, components) : shared(here, resource, components);
  }
  return { ...responses, 405: otherMethod(context) };
}

/** 405, with the methods that the path has. */
function otherMethod({ path, methods }: ProblemContext): Response {
  const instance = path.replace(/\{\w+\}/g, EXAMPLE_ID);
  const { detail } = PROBLEMS.method_not_allowed;
  const value = { ...problem('method_not_allowed', detail), instance };
  return {
    description: `\`method_not_allowed\`: This path has ${methods.join(', ')}, and no other method.`,
    headers: headerReferences(['X-Request-Id', 'Cache-Control', 'Allow']),
    content: { [MEDIA_TYPE]: { schema: problemSchema(['method_not_allowed']), example: value } },
  };
}

/** Refusals of requests that no route has seen: they are the same everywhere. */
const UNREAD = ['request_timeout', 'headers_too_large', 'not_implemented', 'http_version_not_supported'] as const;

/** Refusals of what could not be read, and what a later version may add. */
function otherProblem(components: Components): Reference {
  components.responses ??= {};
  components.responses.OtherProblem ??= {
    description: 'Any other problem, in the same form: kinds may be added.',
    headers: headerReferences(['X-Request-Id', 'Cache-Control']),
    content: {
      [MEDIA_TYPE]: {
        schema: { $ref: '#/components/schemas/Problem' },
        examples: Object.fromEntries(UNREAD.flatMap((code) => examplesOf(code, [], components))),
      },
    },
  };
  return { $ref: '#/components/responses/OtherProblem' };
}

function shared(codes: ProblemCode[], resource: string | undefined, components: Components): Reference {
  const names = codes.map((code) => (code === 'not_found' && resource ? `${resource}NotFound` : pascal(code)));
  const name = names.join('Or');
  const missing: DeclaredProblem[] = resource
    ? [{ code: 'not_found', detail: `${resource} '${EXAMPLE_ID}' not found` }]
    : [];
  components.responses ??= {};
  components.responses[name] ??= response(codes, missing, components);
  return { $ref: `#/components/responses/${name}` };
}

/** A response with what the operations of a section say themselves, an example for each. */
function ofSection(
  section: string,
  codes: readonly ProblemCode[],
  special: readonly DeclaredProblem[],
  components: Components,
): Reference {
  const name = `${section.replace(/\W+(\w)/g, (_, letter: string) => letter.toUpperCase())}${codes.map(pascal).join('Or')}`;
  components.responses ??= {};
  const earlier = components.responses[name] as Response | undefined;
  const made = response(codes, special, components);
  if (earlier) addExamples(earlier, made);
  else components.responses[name] = made;
  return { $ref: `#/components/responses/${name}` };
}

/** Adds the examples of a response to those of an earlier one, each under a name of its own. */
function addExamples(earlier: Response, { content }: Response): void {
  const examples = earlier.content?.[MEDIA_TYPE]?.examples ?? {};
  for (const [name, example] of Object.entries(content?.[MEDIA_TYPE]?.examples ?? {})) {
    const text = JSON.stringify(example);
    if (Object.values(examples).some((other) => JSON.stringify(other) === text)) continue;
    let free = name;
    for (let n = 2; free in examples; n++) free = `${name}_${n}`;
    examples[free] = example;
  }
}

function response(
  codes: readonly ProblemCode[],
  special: readonly DeclaredProblem[],
  components: Components,
): Response {
  const headers = new Set<HeaderName>([
    'X-Request-Id',
    'Cache-Control',
    ...codes.flatMap((code) => PROBLEMS[code].headers),
  ]);
  const examples = codes.flatMap((code) => examplesOf(code, special, components));
  return {
    description: codes.map((code) => `\`${code}\`: ${PROBLEMS[code].meaning}`).join('\n\n'),
    headers: headerReferences([...headers]),
    content: { [MEDIA_TYPE]: { schema: problemSchema(codes), examples: Object.fromEntries(examples) } },
  };
}

type NamedExample = [name: string, example: { summary: string; value: unknown } | Reference];

function examplesOf(code: ProblemCode, special: readonly DeclaredProblem[], components: Components): NamedExample[] {
  const own = special.filter((problem) => problem.code === code);
  if (own.length > 0) {
    return own.map(({ detail }, index) => [
      index === 0 ? code : `${code}_${index + 1}`,
      { summary: problemTitle(code), value: problem(code, detail) },
    ]);
  }
  components.examples ??= {};
  components.examples[pascal(code)] ??= { summary: problemTitle(code), value: problem(code, PROBLEMS[code].detail) };
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
