/**
 * The problems of the document. Each refusal of a route is a response with an example for each kind; a refusal without
 * special content is a shared component. The schema of a response lists its kinds, so that a generated client can
 * distinguish them by the status or by `type`.
 */
import { API_PREFIX } from '../api-prefix';
import { PROBLEM_STATUS, type ProblemCode } from '../../errors';
import type { Components, DeclaredProblem, Reference, Response, Schema } from './declarations';
import { type HeaderName, headerReferences } from './headers';
import { PROBLEMS } from './problem-kinds';
import { EXAMPLE_ID, type Sample } from './product';
import { problemTitle } from '../problem';

const MEDIA_TYPE = 'application/problem+json';
const EXAMPLE_REQUEST_ID = '5f0c3d9e-8f6b-4a53-9d0b-0d5f8a6f7c11';
const CODES = Object.keys(PROBLEM_STATUS) as ProblemCode[];

/** Refusals of requests that no route has seen: they are the same everywhere. */
const UNREAD = ['request_timeout', 'headers_too_large', 'not_implemented', 'http_version_not_supported'] as const;

/** The context of a problem's text: the route, the resource that its id names, and its own texts. */
export interface ProblemContext {
  path: string;
  /** All methods of the path. */
  methods: readonly string[];
  /** The section of the operation: its operations share the responses that only they have. */
  section: string;
  resource?: string;
  declared: readonly DeclaredProblem[];
}

type NamedExample = [name: string, example: { summary: string; value: unknown } | Reference];

/** Describes refusals, and adds their shared parts to the components of the document. */
export class ProblemResponses {
  private readonly responses: Record<string, Response | Reference>;
  private readonly examples: NonNullable<Components['examples']>;

  constructor(
    components: Components,
    private readonly sample: Sample,
  ) {
    this.responses = components.responses ??= {};
    this.examples = components.examples ??= {};
    components.schemas = { ...components.schemas, Problem: this.schema(CODES) };
  }

  /** The responses of an operation for these refusals, one of each status. */
  of(codes: readonly ProblemCode[], context: ProblemContext): Record<string, Response | Reference> {
    const { section, declared, resource } = context;
    const all = [...new Set([...codes, ...declared.map((problem) => problem.code)])].sort(
      (a, b) => PROBLEM_STATUS[a] - PROBLEM_STATUS[b] || CODES.indexOf(a) - CODES.indexOf(b),
    );
    const responses: Record<string, Reference> = { default: this.otherProblem() };
    for (const status of new Set(all.map((code) => PROBLEM_STATUS[code]))) {
      const here = all.filter((code) => PROBLEM_STATUS[code] === status);
      const special = declared.filter((problem) => here.includes(problem.code));
      responses[status] = special.length > 0 ? this.ofSection(section, here, special) : this.shared(here, resource);
    }
    return { ...responses, 405: this.otherMethod(context) };
  }

  /** 405, with the methods that the path has. */
  private otherMethod({ path, methods }: ProblemContext): Response {
    const instance = path.replace(/\{\w+\}/g, EXAMPLE_ID);
    const { detail } = PROBLEMS.method_not_allowed;
    const value = { ...this.problem('method_not_allowed', detail), instance };
    return {
      description: `\`method_not_allowed\`: This path has ${methods.join(', ')}, and no other method.`,
      headers: headerReferences(['X-Request-Id', 'Cache-Control', 'Allow']),
      content: { [MEDIA_TYPE]: { schema: this.schema(['method_not_allowed']), example: value } },
    };
  }

  /** Refusals of unreadable requests, and additions of a later version. */
  private otherProblem(): Reference {
    this.responses.OtherProblem ??= {
      description: 'Any other problem, in the same form: new kinds may be added.',
      headers: headerReferences(['X-Request-Id', 'Cache-Control']),
      content: {
        [MEDIA_TYPE]: {
          schema: { $ref: '#/components/schemas/Problem' },
          examples: Object.fromEntries(UNREAD.flatMap((code) => this.examplesOf(code, []))),
        },
      },
    };
    return { $ref: '#/components/responses/OtherProblem' };
  }

  private shared(codes: ProblemCode[], resource: string | undefined): Reference {
    const names = codes.map((code) => (code === 'not_found' && resource ? `${resource}NotFound` : pascal(code)));
    const name = names.join('Or');
    const missing: DeclaredProblem[] = resource
      ? [{ code: 'not_found', detail: `${resource} '${EXAMPLE_ID}' not found` }]
      : [];
    this.responses[name] ??= this.response(codes, missing);
    return { $ref: `#/components/responses/${name}` };
  }

  /**
   * A response with the declarations of several operations, an example for each. The operations of a section share it;
   * where it holds the faults of fields, all sections do: their lists of faults are one schema for generated clients.
   */
  private ofSection(section: string, codes: readonly ProblemCode[], special: readonly DeclaredProblem[]): Reference {
    const owner = codes.includes('validation_error') ? '' : section;
    const name = `${owner.replace(/\W+(\w)/g, (_, letter: string) => letter.toUpperCase())}${codes.map(pascal).join('Or')}`;
    const earlier = this.responses[name] as Response | undefined;
    const made = this.response(codes, special);
    if (earlier) addExamples(earlier, made);
    else this.responses[name] = made;
    return { $ref: `#/components/responses/${name}` };
  }

  private response(codes: readonly ProblemCode[], special: readonly DeclaredProblem[]): Response {
    const headers = new Set<HeaderName>([
      'X-Request-Id',
      'Cache-Control',
      ...codes.flatMap((code) => PROBLEMS[code].headers),
    ]);
    const examples = codes.flatMap((code) => this.examplesOf(code, special));
    return {
      description: codes.map((code) => `\`${code}\`: ${PROBLEMS[code].meaning}`).join('\n\n'),
      headers: headerReferences([...headers]),
      content: { [MEDIA_TYPE]: { schema: this.schema(codes), examples: Object.fromEntries(examples) } },
    };
  }

  private examplesOf(code: ProblemCode, special: readonly DeclaredProblem[]): NamedExample[] {
    const own = special.filter((problem) => problem.code === code);
    if (own.length > 0) {
      return own.map(({ detail }, index) => [
        index === 0 ? code : `${code}_${index + 1}`,
        { summary: detail, value: this.problem(code, detail) },
      ]);
    }
    this.examples[pascal(code)] ??= { summary: problemTitle(code), value: this.problem(code, this.detailOf(code)) };
    return [[code, { $ref: `#/components/examples/${pascal(code)}` }]];
  }

  private detailOf(code: ProblemCode): string {
    if (code === 'forbidden') return `The role viewer may not do this: it lacks ${this.sample.permission}.`;
    return PROBLEMS[code].detail;
  }

  private problem(code: ProblemCode, detail: string): object {
    return {
      type: code,
      title: problemTitle(code),
      status: PROBLEM_STATUS[code],
      detail,
      instance: `${API_PREFIX}/${this.sample.collection}`,
      request_id: EXAMPLE_REQUEST_ID,
      ...(code === 'validation_error' ? { errors: [this.sample.fault] } : {}),
      ...exampleMembers(code),
    };
  }

  /** The schema of a problem of one of these kinds; only `validation_error` has `errors`. */
  private schema(codes: readonly ProblemCode[]): Schema {
    const onlyFaults = codes.every((code) => code === 'validation_error');
    return {
      type: 'object',
      description: 'Why a request was refused, or failed (RFC 9457).',
      required: [
        ...['type', 'title', 'status', 'detail', 'instance', 'request_id'],
        ...(onlyFaults ? ['errors'] : []),
        ...(codes.length === 1 ? codes.flatMap((code) => PROBLEMS[code].required ?? []) : []),
      ],
      properties: {
        type: { type: 'string', enum: [...codes], description: 'The kind of problem, for programs.' },
        title: { type: 'string', enum: codes.map(problemTitle), description: 'The type in words.' },
        status: {
          type: 'integer',
          enum: [...new Set(codes.map((code) => PROBLEM_STATUS[code]))],
          description: 'The status of the response.',
        },
        detail: { type: 'string', maxLength: 1000, description: 'The fault of this request, for people.' },
        instance: { type: 'string', format: 'uri-reference', description: 'The path of the request.' },
        request_id: { type: 'string', maxLength: 128, description: 'As in `X-Request-Id`: for logs and support.' },
        ...(codes.includes('validation_error')
          ? {
              errors: {
                type: 'array',
                minItems: 1,
                maxItems: 100,
                description: 'With `validation_error`: every fault.',
                items: fieldFault(this.sample),
              },
            }
          : {}),
        ...Object.assign({}, ...codes.map((code) => PROBLEMS[code].members ?? {})),
      },
    };
  }
}

/** The members of this kind alone that are there in every case, each with its example. */
function exampleMembers(code: ProblemCode): Record<string, unknown> {
  const { members = {}, required = [] } = PROBLEMS[code];
  return Object.fromEntries(required.map((name) => [name, members[name]?.example]));
}

function fieldFault({ fault }: Sample): Schema {
  return {
    type: 'object',
    description: 'One fault in the input.',
    required: ['field', 'message', 'code'],
    properties: {
      field: { type: 'string', maxLength: 400, description: 'The position, as a dotted path.', example: fault.field },
      message: { type: 'string', maxLength: 500, description: 'The fault, for people.' },
      code: { type: 'string', maxLength: 50, description: 'The violated rule, for programs.' },
    },
  };
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

function pascal(code: ProblemCode): string {
  return problemTitle(code).replaceAll(' ', '');
}
